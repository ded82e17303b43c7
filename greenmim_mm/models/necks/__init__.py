from .greenmim_neck import GreenMIMNeck

__all__ = ['GreenMIMNeck']

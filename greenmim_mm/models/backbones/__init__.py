from .base import GreenEncoder
from .green_swin import GreenSwinTransformer

__all__ = ['GreenEncoder', 'GreenSwinTransformer']

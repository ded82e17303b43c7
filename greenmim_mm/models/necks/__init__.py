from .greenmim_neck import GreenMIMNeck
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ['GreenMIMNeck', 'SimpleFeaturePyramid']

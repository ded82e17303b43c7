"""Checkpoints of other layouts as ours; behind ``tools/model_converters``."""

from .conversion import Conversion
from .hvt import convert_hvt
from .vit import convert_vit

__all__ = ['Conversion', 'convert_hvt', 'convert_vit']

"""Checkpoints of other layouts as ours; behind ``tools/model_converters``."""

from .conversion import Conversion
from .hvt import convert_hvt
from .swin import convert_swin, mmpretrain_swin_to_timm
from .twins import convert_twins
from .vit import convert_vit

__all__ = [
    'Conversion',
    'convert_hvt',
    'convert_swin',
    'convert_twins',
    'convert_vit',
    'mmpretrain_swin_to_timm',
]

from .base import GreenEncoder
from .green_convnext import GreenConvNeXt
from .green_pvt import GreenPVT, GreenPVTv2
from .green_swin import GreenSwinTransformer
from .green_swin_v2 import GreenSwinTransformerV2
from .green_twins import GreenPCPVT, GreenSVT
from .hpvit import HPViT
from .hvt import HVT
from .staged_vit import StagedViT

__all__ = [
    'GreenConvNeXt',
    'GreenEncoder',
    'GreenPCPVT',
    'GreenPVT',
    'GreenPVTv2',
    'GreenSVT',
    'GreenSwinTransformer',
    'GreenSwinTransformerV2',
    'HPViT',
    'HVT',
    'StagedViT',
]

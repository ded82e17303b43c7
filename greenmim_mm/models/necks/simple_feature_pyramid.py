"""The feature pyramid of detectors on a plain ViT."""

from typing import Sequence, Tuple

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn

from ...registry import MODELS


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Maps at several scales from the last map of a plain ViT alone.

    Source: `Exploring Plain Vision Transformer Backbones for Object Detection
    <https://arxiv.org/abs/2203.16527>`_, Sec. 3 (ViTDet).

    Args:
        in_channels (int | Sequence[int]): Channels of the map (of one map, where a sequence).
        out_channels (int): Channels of every output. Defaults to 256.
        scales (Sequence[float]): Size of the outputs relative to the map: 4, 2, 1 or 0.5.
            Defaults to (4, 2, 1, 0.5).
        num_outs (int): Outputs; those beyond ``scales`` take every second pixel of the one
            before. Defaults to 5.
        init_cfg (dict, optional): Initialisers. Defaults to Xavier for convolutions, as FPN.

    Raises:
        ValueError: If a scale is not one of these, or ``in_channels`` names several maps.
    """

    def __init__(
        self,
        in_channels,
        out_channels: int = 256,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        num_outs: int = 5,
        init_cfg=dict(type='Xavier', layer=['Conv2d', 'ConvTranspose2d'], distribution='uniform'),
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, int):
            if len(in_channels) != 1:
                raise ValueError(f'in_channels must be of one map, got {in_channels}')
            in_channels = in_channels[0]
        if not set(scales) <= {4, 2, 1, 0.5} or num_outs < len(scales):
            raise ValueError(
                'scales must be among 4, 2, 1 and 0.5, and num_outs at least their number, got '
                f'{scales} and {num_outs}'
            )
        self.num_outs = num_outs
        self.branches = nn.ModuleList(
            nn.Sequential(
                *self._rescale(in_channels, scale),
                nn.Conv2d(self._width(in_channels, scale), out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels),
            )
            for scale in scales
        )

    @staticmethod
    def _width(channels: int, scale: float) -> int:
        return channels // max(1, int(scale))

    @staticmethod
    def _rescale(channels: int, scale: float) -> Sequence[nn.Module]:
        if scale == 4:
            return (
                nn.ConvTranspose2d(channels, channels // 2, 2, 2),
                LayerNorm2d(channels // 2),
                nn.GELU(),
                nn.ConvTranspose2d(channels // 2, channels // 4, 2, 2),
            )
        if scale == 2:
            return (nn.ConvTranspose2d(channels, channels // 2, 2, 2),)
        return (nn.MaxPool2d(2),) if scale == 0.5 else ()

    def forward(self, inputs: Tuple[Tensor, ...]) -> Tuple[Tensor, ...]:
        """Maps of shape B x out_channels x h_i x w_i from the last map, B x C x h x w."""
        outs = [branch(inputs[-1]) for branch in self.branches]
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], 1, stride=2))
        return tuple(outs)

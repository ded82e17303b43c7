"""ConvNeXt that runs on the visible mask units only."""

from itertools import repeat
from typing import Iterable, Sequence

import torch.nn.functional as F
from mmpretrain.models import ConvNeXt
from torch import Tensor, nn

from ...layers import sparse_conv2d
from ...registry import MODELS
from ...sparsity import TokenLayout
from .base import GreenEncoder


def _pointwise(layer: nn.Module, x: Tensor) -> Tensor:
    """A linear layer, or a convolution of kernel 1, on tokens."""
    return F.linear(x, layer.weight.flatten(1), layer.bias)


def _norm(layer: nn.Module, x: Tensor) -> Tensor:
    """A norm for maps (LN2d, GRN) on tokens, as a map of width 1."""
    return layer(x.unsqueeze(2), data_format='channel_last').squeeze(2)


def _run_block(block: nn.Module, x: Tensor, layout: TokenLayout) -> Tensor:
    """A ``ConvNeXtBlock`` on visible tokens, B x L x C."""
    identity = x
    x = _norm(block.norm, sparse_conv2d(x, block.depthwise_conv, layout))
    x = block.act(_pointwise(block.pointwise_conv1, x))
    if block.grn is not None:  # its statistics are over the visible tokens
        x = _norm(block.grn, x)
    x = _pointwise(block.pointwise_conv2, x)
    if block.gamma is not None:
        x = x * block.gamma
    return identity + block.drop_path(x)


@MODELS.register_module()
class GreenConvNeXt(GreenEncoder, ConvNeXt):
    """ConvNeXt (V1 and V2) with sparse convolution.

    Parameters, keys and shapes are those of ``mmpretrain.ConvNeXt``, and
    ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `ConvNeXt <https://arxiv.org/abs/2201.03545>`_; sparse convolution in
    masked image modelling: `SparK <https://arxiv.org/abs/2301.03580>`_,
    `ConvNeXt V2 <https://arxiv.org/abs/2301.00808>`_.

    Args:
        *args: Those of ``mmpretrain.ConvNeXt``.
        **kwargs: Those of ``mmpretrain.ConvNeXt`` and of :class:`GreenEncoder`.
            ``gap_before_final_norm`` does not touch the sparse forward, which always
            returns tokens.
    """

    run_block = staticmethod(_run_block)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        convs = [m for layer in self.downsample_layers for m in layer if isinstance(m, nn.Conv2d)]
        self.set_strides(tuple(conv.stride[0] for conv in convs))

    def embed_visible(self, images: Tensor, visible: Tensor, layout: TokenLayout) -> Tensor:
        conv, norm = self.downsample_layers[0]
        return _norm(norm, self.embed(images, visible, conv, layout))

    def merge_visible(
        self, stage: int, x: Tensor, finer: TokenLayout, layout: TokenLayout
    ) -> Tensor:
        norm, conv = self.downsample_layers[stage]
        return sparse_conv2d(_norm(norm, x), conv, finer, layout)

    def stage_blocks(self, stage: int) -> Sequence[nn.Module]:
        return self.stages[stage]

    def block_arguments(self, stage: int, x: Tensor, layout: TokenLayout) -> Iterable[tuple]:
        return repeat((layout,))

    def output_visible(self, stage: int, x: Tensor) -> Tensor:
        return _norm(getattr(self, f'norm{stage}'), x)

"""PVT and PVTv2 that run on the visible mask units only."""

from typing import Tuple

from mmdet.models.backbones.pvt import (
    AbsolutePositionEmbedding,
    PyramidVisionTransformer,
    PyramidVisionTransformerV2,
)
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers import sparse_conv2d
from ...registry import MODELS
from ...sparsity import TokenLayout
from .base import GreenEncoder, spatially_reduced


def _attention(attention: nn.Module, x: Tensor, layout: TokenLayout) -> Tensor:
    """A ``SpatialReductionAttention`` on visible tokens, without its identity: B x L x C."""
    reduced = spatially_reduced(attention, x, layout)
    query, key = (t.transpose(0, 1) if attention.batch_first else t for t in (x, reduced))
    out = attention.attn(query, key, key, need_weights=False)[0]
    out = out.transpose(0, 1) if attention.batch_first else out
    return attention.dropout_layer(attention.proj_drop(out))


def _mix_ffn(ffn: nn.Module, x: Tensor, layout: TokenLayout) -> Tensor:
    """A ``MixFFN`` on visible tokens, without its identity: B x L x C."""
    for layer in ffn.layers:
        x = sparse_conv2d(x, layer, layout) if isinstance(layer, nn.Conv2d) else layer(x)
    return ffn.dropout_layer(x)


class _GreenPVT(GreenEncoder):
    """The sparse forward of both versions of PVT."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.set_strides(self.strides)
        self.check_reductions(self.sr_ratios)

    def init_as_parent(self) -> None:
        if self.init_cfg is None:
            super().init_as_parent()
        else:  # the parent takes no initialiser but a checkpoint
            BaseModule.init_weights(self)

    def forward_visible(self, images: Tensor, visible: Tensor) -> Tuple[Tensor, ...]:
        outs, x, finer = [], None, None
        for i, layout in enumerate(self.layouts(visible)):
            embed, blocks, norm = self.layers[i]
            if i == 0:
                x = self.embed(images, visible, embed.projection, layout)
            else:
                x = sparse_conv2d(x, embed.projection, finer, layout)
            x = x if embed.norm is None else embed.norm(x)
            for block in blocks:
                if isinstance(block, AbsolutePositionEmbedding):
                    position = block.resize_pos_embed(block.pos_embed, layout.grid)[0]
                    index = layout.flat_index.to(x.device, non_blocking=True)
                    x = block.drop(x + position[index])
                else:
                    x = x + _attention(block.attn, block.norm1(x), layout)
                    x = x + _mix_ffn(block.ffn, block.norm2(x), layout)
            x = norm(x)
            if i in self.out_indices:
                outs.append(x)
            finer = layout
        return tuple(outs)


@MODELS.register_module()
class GreenPVT(_GreenPVT, PyramidVisionTransformer):
    """PVT with sparse spatial reduction.

    Parameters, keys and shapes are those of ``mmdet.PyramidVisionTransformer``,
    and ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `PVT <https://arxiv.org/abs/2102.12122>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.3.

    Args:
        *args: Those of ``mmdet.PyramidVisionTransformer``.
        **kwargs: Those of ``mmdet.PyramidVisionTransformer``.

    Raises:
        ValueError: If a spatial reduction is wider than a mask unit.
    """


@MODELS.register_module()
class GreenPVTv2(_GreenPVT, PyramidVisionTransformerV2):
    """PVTv2: overlapping patch embedding, spatial reduction and convolutional MLP, all sparse.

    Parameters, keys and shapes are those of ``mmdet.PyramidVisionTransformerV2``,
    and ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `PVTv2 <https://arxiv.org/abs/2106.13797>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.3.

    Args:
        **kwargs: Those of ``mmdet.PyramidVisionTransformerV2``.

    Raises:
        ValueError: If a spatial reduction is wider than a mask unit.
    """

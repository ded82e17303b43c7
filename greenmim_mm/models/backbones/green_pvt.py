"""PVT and PVTv2 that run on the visible mask units only."""

from itertools import repeat
from typing import Iterable, Sequence

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


def _run_block(block: nn.Module, x: Tensor, layout: TokenLayout) -> Tensor:
    """A ``PVTEncoderLayer`` on visible tokens, B x L x C."""
    x = x + _attention(block.attn, block.norm1(x), layout)
    return x + _mix_ffn(block.ffn, block.norm2(x), layout)


class _GreenPVT(GreenEncoder):
    """The sparse forward of both versions of PVT."""

    run_block = staticmethod(_run_block)

    def __init__(self, *args, convert_weights: bool = False, **kwargs) -> None:
        if convert_weights:
            raise ValueError(
                f'convert_weights must be False, got {convert_weights}: checkpoints are loaded as '
                'they are; convert those of the original code with '
                'mmdet.models.backbones.pvt.pvt_convert first'
            )
        super().__init__(*args, **kwargs)
        self._check_embeddings()
        self.set_strides(self.strides)
        self.check_reductions(self.sr_ratios)

    def _check_embeddings(self) -> None:
        """A map must be the image divided by the stride, whatever the size of the image.

        Raises:
            ValueError: If a patch embedding is padded too little or too much for that.
        """
        for i, layer in enumerate(self.layers):
            conv = layer[0].projection
            kernel, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
            if not kernel - stride <= 2 * padding < kernel:
                raise ValueError(
                    f'paddings[{i}] must be at least {(kernel - stride + 1) // 2} and below '
                    f'{kernel / 2:g} for patch_sizes[{i}]={kernel} and strides[{i}]={stride}, '
                    f'got {padding}'
                )

    def init_as_parent(self) -> None:
        if self.init_cfg is None:
            super().init_as_parent()
        else:  # the parent takes no initialiser but a checkpoint
            BaseModule.init_weights(self)

    def embed_visible(self, images: Tensor, visible: Tensor, layout: TokenLayout) -> Tensor:
        x = self.embed(images, visible, self.layers[0][0].projection, layout)
        return self._embedded(0, x, layout)

    def merge_visible(
        self, stage: int, x: Tensor, finer: TokenLayout, layout: TokenLayout
    ) -> Tensor:
        x = sparse_conv2d(x, self.layers[stage][0].projection, finer, layout)
        return self._embedded(stage, x, layout)

    def _embedded(self, stage: int, x: Tensor, layout: TokenLayout) -> Tensor:
        """Norm and absolute position of embedded patches."""
        embed, blocks, _ = self.layers[stage]
        x = x if embed.norm is None else embed.norm(x)
        if not isinstance(blocks[0], AbsolutePositionEmbedding):
            return x
        position = blocks[0].resize_pos_embed(blocks[0].pos_embed, layout.grid)[0]
        index = layout.flat_index.to(x.device, non_blocking=True)
        return blocks[0].drop(x + position[index])

    def stage_blocks(self, stage: int) -> Sequence[nn.Module]:
        blocks = self.layers[stage][1]
        return [b for b in blocks if not isinstance(b, AbsolutePositionEmbedding)]

    def block_arguments(self, stage: int, x: Tensor, layout: TokenLayout) -> Iterable[tuple]:
        return repeat((layout,))

    def end_stage(self, stage: int, x: Tensor) -> Tensor:
        return self.layers[stage][2](x)


@MODELS.register_module()
class GreenPVT(_GreenPVT, PyramidVisionTransformer):
    """PVT with sparse spatial reduction.

    Parameters, keys and shapes are those of ``mmdet.PyramidVisionTransformer``,
    and ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `PVT <https://arxiv.org/abs/2102.12122>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.3.

    Args:
        *args: Those of ``mmdet.PyramidVisionTransformer``.
        **kwargs: Those of ``mmdet.PyramidVisionTransformer`` and of :class:`GreenEncoder`.
            ``convert_weights`` must be False, its default here.

    Raises:
        ValueError: If a spatial reduction is wider than a mask unit, or a patch
            embedding does not divide the map by its stride.
    """


@MODELS.register_module()
class GreenPVTv2(_GreenPVT, PyramidVisionTransformerV2):
    """PVTv2: overlapping patch embedding, spatial reduction and convolutional MLP, all sparse.

    Parameters, keys and shapes are those of ``mmdet.PyramidVisionTransformerV2``,
    and ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `PVTv2 <https://arxiv.org/abs/2106.13797>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.3.

    Args:
        **kwargs: Those of ``mmdet.PyramidVisionTransformerV2`` and of :class:`GreenEncoder`.
            ``convert_weights`` must be False, its default here.

    Raises:
        ValueError: If a spatial reduction is wider than a mask unit, or a patch
            embedding does not divide the map by its stride.
    """

"""Twins that run on the visible mask units only."""

from typing import Iterable, Optional, Sequence, Tuple

import torch.nn.functional as F
from mmpretrain.models import PCPVT, SVT
from mmpretrain.models.backbones.twins import GlobalSubsampledAttention, LSAEncoderLayer
from torch import Tensor, nn

from ...layers import (
    AttentionIndex,
    attention_index,
    ffn_branch,
    group_attention,
    sparse_conv2d,
)
from ...registry import MODELS
from ...sparsity import TokenLayout, build_group_plan
from .base import GreenEncoder, spatially_reduced


def _global_attention(attention: GlobalSubsampledAttention, x: Tensor, layout: TokenLayout):
    """Every visible token attends to the visible tokens of the reduced map: B x L x C."""
    batch, length, channels = x.shape
    heads = attention.num_heads
    query = attention.q(x).view(batch, length, heads, -1).transpose(1, 2)
    reduced = spatially_reduced(attention, x, layout)
    key, value = attention.kv(reduced).view(batch, -1, 2, heads, query.shape[-1]).unbind(2)
    dropout = attention.attn_drop if attention.training else 0.0
    out = F.scaled_dot_product_attention(
        query, key.transpose(1, 2), value.transpose(1, 2), dropout_p=dropout
    )
    out = attention.proj(out.transpose(1, 2).reshape(batch, length, channels))
    return attention.out_drop(attention.proj_drop(out))


def _local_attention(attention: nn.Module, x: Tensor, index: AttentionIndex) -> Tensor:
    """Attention among the visible tokens of each window: B x L x C."""
    dropout = attention.attn_drop.p if attention.training else 0.0
    out = group_attention(attention.qkv(x), None, index, attention.scale, dropout)
    return attention.proj_drop(attention.proj(out))


def _run_block(
    block: nn.Module,
    x: Tensor,
    layout: TokenLayout,
    index: Optional[AttentionIndex],
    position_encoding: Optional[nn.Module],
) -> Tensor:
    """An ``LSAEncoderLayer`` or ``GSAEncoderLayer`` on visible tokens, B x L x C.

    The first block of a stage is followed by the position encoding, a convolution.
    """
    normed = block.norm1(x)
    if isinstance(block, LSAEncoderLayer):
        attended = _local_attention(block.attn, normed, index)
    else:
        attended = _global_attention(block.attn, normed, layout)
    x = x + block.drop_path(attended)
    x = ffn_branch(x, block.norm2, block.ffn, block.drop_path)
    if position_encoding is None:
        return x
    return x + sparse_conv2d(x, position_encoding.proj, layout)


class _GreenTwins(GreenEncoder):
    """The sparse forward of both kinds of Twins."""

    run_block = staticmethod(_run_block)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if list(self.patch_sizes) != list(self.strides):
            raise ValueError(
                'arch.patch_sizes must equal arch.strides (patches that do not overlap), got '
                f'{self.patch_sizes} and {self.strides}'
            )
        self.set_strides(self.strides)
        self.check_reductions(self.sr_ratios)

    def new_in_transfer(self) -> Tuple[str, ...]:
        return tuple(f'norm_after_stage{i}' for i in range(self.num_stage))

    def embed_visible(self, images: Tensor, visible: Tensor, layout: TokenLayout) -> Tensor:
        embed = self.patch_embeds[0]
        x = self.embed(images, visible, embed.projection, layout)
        return self.position_encoding_drops[0](embed.norm(x))

    def merge_visible(
        self, stage: int, x: Tensor, finer: TokenLayout, layout: TokenLayout
    ) -> Tensor:
        embed = self.patch_embeds[stage]
        x = sparse_conv2d(x, embed.projection, finer, layout)
        return self.position_encoding_drops[stage](embed.norm(x))

    def stage_blocks(self, stage: int) -> Sequence[nn.Module]:
        return self.stages[stage]

    def block_arguments(self, stage: int, x: Tensor, layout: TokenLayout) -> Iterable[tuple]:
        index = None
        for block in self.stages[stage]:
            if isinstance(block, LSAEncoderLayer):
                index = self._window_index(block.attn, layout, x)
                break
        encoding = self.position_encodings[stage]
        return [(layout, index, None if j else encoding) for j in range(len(self.stages[stage]))]

    def end_stage(self, stage: int, x: Tensor) -> Tensor:
        return getattr(self, f'norm_after_stage{stage}')(x)

    @staticmethod
    def _window_index(attention: nn.Module, layout: TokenLayout, x: Tensor) -> AttentionIndex:
        plan = build_group_plan(layout, attention.window_size).to(x.device)
        return attention_index(plan, *x.shape[:2], attention.num_heads, relative_position=False)


@MODELS.register_module()
class GreenPCPVT(_GreenTwins, PCPVT):
    """Twins-PCPVT with sparse spatial reduction and position encoding.

    Parameters, keys and shapes are those of ``mmpretrain.PCPVT``, and
    ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `Twins <https://arxiv.org/abs/2104.13840>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.3.

    Args:
        *args: Those of ``mmpretrain.PCPVT``.
        **kwargs: Those of ``mmpretrain.PCPVT`` and of :class:`GreenEncoder`.

    Raises:
        ValueError: If patches overlap, or a spatial reduction is wider than a mask unit.
    """


@MODELS.register_module()
class GreenSVT(_GreenTwins, SVT):
    """Twins-SVT: group window attention and sparse global attention in turn.

    Parameters, keys and shapes are those of ``mmpretrain.SVT``, and
    ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `Twins <https://arxiv.org/abs/2104.13840>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.3.

    Note:
        On a map that is a multiple of the window along one side only, the
        parent's dense forward lets zero padding take part in attention (its
        mask is empty then). The sparse forward has no padding.

    Args:
        *args: Those of ``mmpretrain.SVT``.
        **kwargs: Those of ``mmpretrain.SVT`` and of :class:`GreenEncoder`.

    Raises:
        ValueError: If patches overlap, or a spatial reduction is wider than a mask unit.
    """

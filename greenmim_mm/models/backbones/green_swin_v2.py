"""Swin Transformer V2 that runs on the visible mask units only."""

import math
from typing import Iterable, Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models import SwinTransformerV2
from torch import Tensor, nn

from ...layers import AttentionIndex, group_attention, merge_2x2
from ...registry import MODELS
from ...sparsity import TokenLayout
from .base import GreenEncoder
from .green_swin import check_patches_and_merges, embed_patches, window_index


def _cosine_attention(attention: nn.Module, x: Tensor, index: AttentionIndex) -> Tensor:
    """A ``WindowMSAV2`` on visible tokens: B x L x C.

    Cosine attention is attention of normalised queries and keys whose queries are
    scaled per head, and the continuous position bias is a table: both fit group
    attention as it is.
    """
    bias = None
    if attention.q_bias is not None:
        zeros = torch.zeros_like(attention.v_bias, requires_grad=False)
        bias = torch.cat([attention.q_bias, zeros, attention.v_bias])
    qkv = F.linear(x, attention.qkv.weight, bias)
    heads = attention.num_heads
    query, key, value = qkv.view(*x.shape[:2], 3, heads, -1).unbind(2)
    factor = attention.logit_scale.clamp(max=math.log(1 / 0.01)).exp().view(heads, 1)
    query = F.normalize(query, dim=-1) * factor.to(query.dtype)
    qkv = torch.stack([query, F.normalize(key, dim=-1), value], dim=2).flatten(2)
    table = attention.cpb_mlp(attention.relative_coords_table).view(-1, heads)
    dropout = attention.attn_drop.p if attention.training else 0.0
    out = group_attention(qkv, 16 * table.sigmoid(), index, 1.0, dropout)
    return attention.proj_drop(attention.proj(out))


def _run_block(block: nn.Module, x: Tensor, index: AttentionIndex) -> Tensor:
    """A ``SwinBlockV2`` on visible tokens, B x L x C: norms stand behind the layers."""
    x = x + block.norm1(block.attn.drop(_cosine_attention(block.attn.w_msa, x, index)))
    x = x + block.norm2(block.ffn(x))
    return block.norm3(x) if block.extra_norm else x


@MODELS.register_module()
class GreenSwinTransformerV2(GreenEncoder, SwinTransformerV2):
    """Swin Transformer V2 with group window attention.

    Parameters, keys and shapes are those of ``mmpretrain.SwinTransformerV2``,
    and ``forward(images)`` is its forward. See :class:`GreenEncoder`.

    Source: `Swin V2 <https://arxiv.org/abs/2111.09883>`_; sparse forward after
    `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 3.

    Args:
        *args: Those of ``mmpretrain.SwinTransformerV2``.
        **kwargs: Those of ``mmpretrain.SwinTransformerV2`` and of :class:`GreenEncoder`.

    Raises:
        ValueError: If the patch embedding overlaps or a stage does not halve the map.
    """

    can_compile = True
    run_block = staticmethod(_run_block)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._freeze_stages()  # now: the parent does so at .train(), after DDP has looked
        size = check_patches_and_merges(self, self.stages[1:])
        self.set_strides((size, *[2] * (self.num_layers - 1)))

    def embed_visible(self, images: Tensor, visible: Tensor, layout: TokenLayout) -> Tensor:
        return embed_patches(self, images, visible, layout)

    def merge_visible(
        self, stage: int, x: Tensor, finer: TokenLayout, layout: TokenLayout
    ) -> Tensor:
        downsample = self.stages[stage].downsample
        return downsample.norm(downsample.reduction(merge_2x2(x)))

    def stage_blocks(self, stage: int) -> Sequence[nn.Module]:
        return self.stages[stage].blocks

    def block_arguments(self, stage: int, x: Tensor, layout: TokenLayout) -> Iterable[tuple]:
        return zip(window_index(self.stages[stage].blocks, layout, x))

    def output_visible(self, stage: int, x: Tensor) -> Tensor:
        return getattr(self, f'norm{stage}')(x)

    def _delete_reinit_params(self, state_dict, prefix, *args, **kwargs) -> None:
        """Tables that follow from the window are this model's own, whatever was saved."""
        for name, own in self.state_dict().items():
            if name.endswith(('relative_position_index', 'relative_coords_table')):
                state_dict[prefix + name] = own.clone()

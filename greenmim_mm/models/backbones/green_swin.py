"""Swin Transformer that runs on the visible mask units only."""

from typing import Iterable, List, Sequence, Tuple

import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmpretrain.models import SwinTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from ...layers import AttentionIndex, attention_index, ffn_branch, group_attention, merge_2x2
from ...registry import MODELS
from ...sparsity import TokenLayout, build_group_plan
from .base import GreenEncoder


def _run_block(block: nn.Module, x: Tensor, index: AttentionIndex) -> Tensor:
    """A ``SwinBlock`` on visible tokens, B x L x C."""
    attention = block.attn.w_msa
    dropout = attention.attn_drop.p if block.training else 0.0
    qkv = attention.qkv(block.norm1(x))
    table = attention.relative_position_bias_table
    out = group_attention(qkv, table, index, attention.scale, dropout)
    x = x + block.attn.drop(attention.proj_drop(attention.proj(out)))
    return ffn_branch(x, block.norm2, block.ffn)


def window_shift(attention: nn.Module, grid: Tuple[int, int]) -> Tuple[int, int]:
    """Window and shift of a ``ShiftWindowMSA`` on a map, as its dense forward has them.

    A map that is no larger than the window along an axis is shifted with
    ``pad_small_map`` only. Without it the dense forward refuses a smaller map;
    the sparse forward, which needs no padding, takes it without a shift.
    """
    shifted = attention.pad_small_map or min(grid) > attention.window_size
    return attention.window_size, attention.shift_size if shifted else 0


def window_index(
    blocks: Sequence[nn.Module], layout: TokenLayout, x: Tensor
) -> List[AttentionIndex]:
    """Index of each block of a stage; blocks of equal window and shift share one."""
    kinds = [window_shift(block.attn, layout.grid) for block in blocks]
    heads = blocks[0].attn.w_msa.num_heads
    index = {}
    for kind in set(kinds):
        plan = build_group_plan(layout, *kind).to(x.device)
        index[kind] = attention_index(plan, *x.shape[:2], heads)
    return [index[kind] for kind in kinds]


def embed_patches(
    model: GreenEncoder, images: Tensor, visible: Tensor, layout: TokenLayout
) -> Tensor:
    """Patch embedding (and absolute position) of the visible patches of a Swin, B x L x C."""
    embed = model.patch_embed
    x = model.embed(images, visible, embed.projection, layout)
    if embed.norm is not None:
        x = embed.norm(x)
    if model.use_abs_pos_embed:
        position = resize_pos_embed(
            model.absolute_pos_embed,
            model.patch_resolution,
            layout.grid,
            model.interpolate_mode,
            model.num_extra_tokens,
        )
        x = x + position[0, layout.flat_index.to(x.device, non_blocking=True)]
    return model.drop_after_pos(x)


def check_patches_and_merges(model: nn.Module, stages: Sequence[nn.Module]) -> int:
    """Patch size of a Swin whose patches and 2 x 2 merges nest.

    Raises:
        ValueError: If patches overlap, or a stage with a merge does not halve the map.
    """
    projection = model.patch_embed.projection
    size = projection.kernel_size[0]
    if projection.kernel_size != (size, size) or projection.stride != (size, size):
        raise ValueError(
            'patch_size must be square and equal to the stride of the patch embedding, got '
            f'kernel {projection.kernel_size}, stride {projection.stride}'
        )
    for i, stage in enumerate(stages):
        sampler = stage.downsample.sampler
        if {sampler.kernel_size, sampler.stride} != {(2, 2)}:
            raise ValueError(
                f'stages[{i}] must merge 2 x 2 tokens, got downsample_cfg with kernel_size '
                f'{sampler.kernel_size}, stride {sampler.stride}'
            )
    return size


@MODELS.register_module()
class GreenSwinTransformer(GreenEncoder, SwinTransformer):
    """Swin Transformer with group window attention.

    ``forward(images)`` is the dense forward of ``mmpretrain.SwinTransformer``,
    for classification and detection. ``forward(images, visible)`` runs every
    layer on the visible tokens only. Parameters, keys and shapes are those of
    the parent, so a pre-training checkpoint loads into
    ``mmpretrain.SwinTransformer`` and ``mmdet.SwinTransformer`` as it is.

    Source: `Green Hierarchical Vision Transformer for Masked Image Modeling
    <https://arxiv.org/abs/2205.13515>`_, Sec. 3.

    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``
    loads every tensor of the backbone or raises (see
    :func:`~greenmim_mm.models.utils.load_pretrained`). A relative position bias
    table of another window size is resized, and the log says so.

    Note:
        With all units visible both forwards agree wherever the map is a
        multiple of the window. Elsewhere dense Swin pads the map with zeros
        that take part in attention; the sparse forward has no padding.

    Args:
        *args: Those of ``mmpretrain.SwinTransformer``.
        **kwargs: Those of ``mmpretrain.SwinTransformer`` and of :class:`GreenEncoder`.

    Raises:
        ValueError: If the patch embedding overlaps or a stage does not halve
            the map, for then the mask units do not nest.

    Example:
        >>> model = GreenSwinTransformer(arch='tiny')
        >>> visible = RandomMasking(0.75)((224, 224), batch_size=2, seed=0)
        >>> model(torch.rand(2, 3, 224, 224), visible)[-1].shape
        torch.Size([2, 12, 768])
    """

    # as in pre-training: linear layers Xavier-uniform, at any width, and biases at 0
    default_init_cfg = dict(type='Xavier', layer='Linear', distribution='uniform')

    can_compile = True
    run_block = staticmethod(_run_block)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.patch_size = check_patches_and_merges(self, self.stages[:-1])
        self.set_strides((self.patch_size, *[2] * (self.num_layers - 1)))
        self._freeze_stages()  # now: the parent does so at .train(), after DDP has looked

    def embed_visible(self, images: Tensor, visible: Tensor, layout: TokenLayout) -> Tensor:
        return embed_patches(self, images, visible, layout)

    def merge_visible(
        self, stage: int, x: Tensor, finer: TokenLayout, layout: TokenLayout
    ) -> Tensor:
        downsample = self.stages[stage - 1].downsample
        x = merge_2x2(x)
        return downsample.reduction(x if downsample.norm is None else downsample.norm(x))

    def stage_blocks(self, stage: int) -> Sequence[nn.Module]:
        return self.stages[stage].blocks

    def block_arguments(self, stage: int, x: Tensor, layout: TokenLayout) -> Iterable[tuple]:
        return zip(window_index(self.stages[stage].blocks, layout, x))

    def output_visible(self, stage: int, x: Tensor) -> Tensor:
        if self.out_after_downsample and self.stages[stage].downsample is not None:
            x = self.merge_visible(stage + 1, x, None, None)
        return getattr(self, f'norm{stage}')(x)

    def _prepare_relative_position_bias_table(self, state_dict, prefix, *args, **kwargs) -> None:
        """Resize tables of another window, bicubically, before they are loaded.

        The parent's hook calls ``scipy.interpolate.interp2d``, which SciPy 1.14
        removed, and drops the index buffer, which then counts as missing.
        """
        for name, own in self.state_dict().items():
            key = prefix + name
            if not name.endswith('relative_position_bias_table') or key not in state_dict:
                continue
            table = state_dict[key]
            (rows, heads), own_rows = table.shape, own.shape[0]
            if rows == own_rows or heads != own.shape[1]:
                continue  # nothing to do, or an error that loading reports
            side, own_side = (round(number**0.5) for number in (rows, own_rows))
            resized = F.interpolate(
                table.float().t().reshape(1, heads, side, side),
                size=(own_side, own_side),
                mode='bicubic',
                align_corners=True,
            )
            state_dict[key] = resized.reshape(heads, own_rows).t().to(table.dtype).contiguous()
            index = name.replace('bias_table', 'index')
            state_dict[prefix + index] = self.state_dict()[index].clone()
            MMLogger.get_current_instance().info(
                f'{name}: resized from window {(side + 1) // 2} ({rows} rows) '
                f'to window {(own_side + 1) // 2} ({own_rows} rows)'
            )

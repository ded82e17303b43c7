"""Swin Transformer that runs on the visible mask units only."""

from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from mmengine.logging import MMLogger
from mmpretrain.models import SwinTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from ...layers import group_attention, merge_2x2, relative_position_bias
from ...registry import MODELS
from ...sparsity import (
    GroupPlan,
    TokenLayout,
    build_group_plan,
    gather_patches,
    token_layout,
    unit_grid,
)
from ..utils import load_pretrained, split_pretrained_cfg


@MODELS.register_module()
class GreenSwinTransformer(SwinTransformer):
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
        **kwargs: Those of ``mmpretrain.SwinTransformer``.

    Raises:
        ValueError: If the patch embedding overlaps or a stage does not halve
            the map, for then the mask units do not nest.

    Example:
        >>> model = GreenSwinTransformer(arch='tiny')
        >>> visible = RandomMasking(0.75)((224, 224), batch_size=2, seed=0)
        >>> model(torch.rand(2, 3, 224, 224), visible)[-1].shape
        torch.Size([2, 12, 768])
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        projection = self.patch_embed.projection
        self.patch_size = projection.kernel_size[0]
        square = (self.patch_size, self.patch_size)
        if projection.kernel_size != square or projection.stride != square:
            raise ValueError(
                'patch_size must be square and equal to the stride of the patch embedding, got '
                f'kernel {projection.kernel_size}, stride {projection.stride}'
            )
        for i, stage in enumerate(self.stages[:-1]):
            sampler = stage.downsample.sampler
            if {sampler.kernel_size, sampler.stride} != {(2, 2)}:
                raise ValueError(
                    f'stages[{i}] must merge 2 x 2 tokens, got downsample_cfg with kernel_size '
                    f'{sampler.kernel_size}, stride {sampler.stride}'
                )
        self.mask_unit = self.patch_size * 2 ** (self.num_layers - 1)

    def init_weights(self) -> None:
        """Initialise; with ``init_cfg`` of type ``Pretrained``, load all or raise.

        Without an ``init_cfg`` for its layers the encoder starts as pre-training
        does: linear layers Xavier-uniform, at any width, and biases at 0.
        """
        if self._is_init:
            super().init_weights()  # mmengine warns about the second call
            return
        init_cfg = self.init_cfg
        pretrained, others = split_pretrained_cfg(init_cfg)
        self.init_cfg = others or dict(type='Xavier', layer='Linear', distribution='uniform')
        super().init_weights()
        self.init_cfg = init_cfg
        if pretrained is not None:
            options = {k: v for k, v in pretrained.items() if k != 'type'}
            norms = tuple(f'norm{i}' for i in range(self.num_layers))
            load_pretrained(self, optional=norms, **options)

    def train(self, mode: bool = True) -> 'GreenSwinTransformer':
        """As in the parent, and returns itself, as ``nn.Module`` does."""
        super().train(mode)
        return self

    def forward(self, x: Tensor, visible: Optional[Tensor] = None) -> Tuple[Tensor, ...]:
        """Features of all patches, or of the visible ones.

        Args:
            x (Tensor): Images of shape B x 3 x H x W.
            visible (Tensor, optional): Bool of shape 1 x Mh x Mw (one mask for
                the batch) or B x Mh x Mw, on the CPU; True = the encoder sees
                the mask unit. Defaults to None, the dense forward.

        Returns:
            Tuple[Tensor, ...]: One per ``out_indices``: maps of shape
            B x C x h x w without ``visible``, else tokens of shape B x L x C
            in the order of :mod:`greenmim_mm.sparsity.tokens`.

        Raises:
            ValueError: If the image is not a multiple of the mask unit, or
                ``visible`` does not fit it.
        """
        if visible is None:
            return super().forward(x)
        self._check_visible(x, visible)

        x = self._embed(x, visible)
        outs = []
        for i, stage in enumerate(self.stages):
            layout = token_layout(visible, self.mask_unit // (self.patch_size * 2**i))
            for block, plan in zip(stage.blocks, self._plan(stage.blocks, layout, x.device)):
                x = self._run_block(block, x, plan)
            merged = x if stage.downsample is None else self._merge(stage.downsample, x)
            if i in self.out_indices:
                out = merged if self.out_after_downsample else x
                outs.append(getattr(self, f'norm{i}')(out))
            x = merged
        return tuple(outs)

    def _check_visible(self, images: Tensor, visible: Tensor) -> None:
        grid = unit_grid(images.shape[-2:], self.mask_unit)
        if tuple(visible.shape[1:]) != grid or len(visible) not in (1, len(images)):
            raise ValueError(
                f'visible must be of shape (1 or {len(images)}, {grid[0]}, {grid[1]}) for images '
                f'of shape {tuple(images.shape)}, got {tuple(visible.shape)}'
            )

    def _embed(self, images: Tensor, visible: Tensor) -> Tensor:
        """Patch embedding (and absolute position) of the visible patches, B x L x C."""
        projection = self.patch_embed.projection
        patches = gather_patches(images, visible, self.patch_size, self.mask_unit)
        x = F.linear(patches, projection.weight.flatten(1), projection.bias)
        if self.patch_embed.norm is not None:
            x = self.patch_embed.norm(x)
        if self.use_abs_pos_embed:
            layout = token_layout(visible, self.mask_unit // self.patch_size)
            position = resize_pos_embed(
                self.absolute_pos_embed,
                self.patch_resolution,
                layout.grid,
                self.interpolate_mode,
                self.num_extra_tokens,
            )
            x = x + position[0, layout.flat_index.to(x.device)]
        return self.drop_after_pos(x)

    @staticmethod
    def _window_shift(attention: nn.Module, grid: Tuple[int, int]) -> Tuple[int, int]:
        """Window and shift of a ``ShiftWindowMSA`` on a map, as its dense forward has them."""
        window, shift = attention.window_size, attention.shift_size
        smaller = min(grid) < window
        same = min(grid) == window and not attention.pad_small_map
        return window, 0 if smaller or same else shift

    def _plan(
        self, blocks: Sequence[nn.Module], layout: TokenLayout, device: torch.device
    ) -> List[GroupPlan]:
        """The plan of each block; blocks of equal window and shift share one."""
        kinds = [self._window_shift(block.attn, layout.grid) for block in blocks]
        plans = {kind: build_group_plan(layout, *kind).to(device) for kind in set(kinds)}
        return [plans[kind] for kind in kinds]

    @staticmethod
    def _run_block(block: nn.Module, x: Tensor, plan: GroupPlan) -> Tensor:
        """A ``SwinBlock`` on visible tokens, B x L x C."""

        def run(x):
            attention = block.attn.w_msa
            table = attention.relative_position_bias_table
            bias = relative_position_bias(table, plan.relative_index)
            dropout = attention.attn_drop.p if block.training else 0.0
            qkv = attention.qkv(block.norm1(x))
            out = group_attention(qkv, plan, bias, attention.scale, dropout)
            x = x + block.attn.drop(attention.proj_drop(attention.proj(out)))
            return block.ffn(block.norm2(x), identity=x)

        if block.with_cp and x.requires_grad:
            return cp.checkpoint(run, x, use_reentrant=False)
        return run(x)

    @staticmethod
    def _merge(downsample: nn.Module, x: Tensor) -> Tensor:
        """A ``PatchMerging`` on visible tokens: B x L x C to B x (L / 4) x C_out."""
        x = merge_2x2(x)
        return downsample.reduction(x if downsample.norm is None else downsample.norm(x))

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

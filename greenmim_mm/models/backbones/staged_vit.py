"""What HPViT and HVT share: a plain ViT whose blocks form stages, with pooling between them."""

from itertools import accumulate
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.utils import build_norm_layer, resize_pos_embed
from torch import Tensor, nn

from ...layers import window_attention
from ..utils import StrictInit

Grid = Tuple[int, int]


class StagedViT(StrictInit, VisionTransformer):
    """Base of the plain ViTs made hierarchical. A subclass writes :meth:`pool`.

    Blocks, patch embedding, position embedding, class token and norms are those of
    ``mmpretrain.VisionTransformer``, with the same keys. The width is constant.

    Args:
        depths (Sequence[int]): Blocks per stage; they add up to the blocks of ``arch``.
        patch_size (int): Kernel of the patch embedding in pixels. Defaults to 16.
        patch_stride (int, optional): Stride of the patch embedding in pixels. Where it is
            less than ``patch_size``, patches overlap and the image is padded by
            ``(patch_size - patch_stride) / 2`` on each side, so that a token
            stays in the middle of its stride. Defaults to None, ``patch_size``.
        out_indices (Sequence[int]): Stages to output. Defaults to the last, ``(-1,)``.
        window_size (int, optional): Side in tokens of the windows that attention stays in.
            Defaults to None: every block attends to the whole map.
        global_attn_indexes (Sequence[int], optional): Blocks that attend to the whole map
            nevertheless. Defaults to None, the last block of each quarter, as in ViTDet.
        relative_position (bool): Add a learned bias per offset and head, of offsets up to
            ``window_size``, in each block; zero at the start. Defaults to False.
        with_cp (bool): Keep the input of each block only, and compute the rest
            again in the backward. Defaults to False.
        **kwargs: Those of ``mmpretrain.VisionTransformer``.

    Raises:
        ValueError: If an argument has a value that is not allowed; the message says which are.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int],
        patch_size: int = 16,
        patch_stride: Optional[int] = None,
        out_indices: Sequence[int] = (-1,),
        window_size: Optional[int] = None,
        global_attn_indexes: Optional[Sequence[int]] = None,
        relative_position: bool = False,
        with_cp: bool = False,
        norm_cfg: dict = dict(type='LN', eps=1e-6),
        **kwargs,
    ) -> None:
        stride = patch_size if patch_stride is None else patch_stride
        if stride < 1 or stride > patch_size or (patch_size - stride) % 2:
            raise ValueError(
                f'patch_stride must be at most patch_size={patch_size} and differ from it by an '
                f'even number, got {patch_stride}'
            )
        super().__init__(
            patch_size=patch_size,
            patch_cfg=dict(stride=stride, padding=(patch_size - stride) // 2),
            norm_cfg=norm_cfg,
            **kwargs,
        )
        self.depths = tuple(depths)
        if sum(self.depths) != self.num_layers or min(self.depths) < 1:
            raise ValueError(
                f'depths must be positive and add up to {self.num_layers} blocks, got {depths}'
            )
        number = len(self.depths)
        if not all(-number <= i < number for i in out_indices):
            raise ValueError(f'out_indices must name stages below {number}, got {out_indices}')
        self.out_indices = tuple(i % number for i in out_indices)  # stages, not blocks
        self.patch_stride = self.pad_multiple = stride
        self.with_cp = with_cp
        self._set_attention(window_size, global_attn_indexes, relative_position)
        self.out_norms = nn.ModuleDict()
        if self.out_type in ('featmap', 'raw'):  # the last stage has the final norm
            for i in self.out_indices:
                if i < number - 1:
                    self.out_norms[str(i)] = build_norm_layer(norm_cfg, self.embed_dims)

    def _set_attention(
        self,
        window_size: Optional[int],
        global_attn_indexes: Optional[Sequence[int]],
        relative_position: bool,
    ) -> None:
        number = self.num_layers
        if global_attn_indexes is None:
            ends = {(i + 1) * number // 4 - 1 for i in range(4)}
            global_attn_indexes = sorted(ends - {-1})  # a quarter of few blocks may be empty
        if not all(0 <= i < number for i in global_attn_indexes):
            raise ValueError(
                f'global_attn_indexes must be blocks below {number}, got {global_attn_indexes}'
            )
        if window_size is not None and window_size < 1:
            raise ValueError(f'window_size must be at least 1 token, got {window_size}')
        windowless = set(global_attn_indexes) >= set(range(number))
        if window_size is not None and windowless and not relative_position:
            raise ValueError(
                f'window_size must be None where all {number} blocks are in global_attn_indexes, '
                f'got {window_size}'
            )
        if relative_position and window_size is None:
            raise ValueError('relative_position needs window_size, the range of its offsets')
        self.window_sizes = [
            None if i in global_attn_indexes else window_size for i in range(number)
        ]
        if relative_position:
            for layer in self.layers:
                table = torch.zeros((2 * window_size - 1) ** 2, layer.attn.num_heads)
                layer.attn.relative_position_bias_table = nn.Parameter(table)

    def freeze_pools(self) -> None:
        """With ``frozen_stages``, freeze what the parent does not know of.

        A subclass calls it when it has made its ``pools`` or ``pos_embeds``.
        """
        if self.frozen_stages <= 0:
            return
        self._freeze_stages()  # again: the blocks may have got tables of relative positions
        for name in ('pools', 'pos_embeds'):
            for last, part in zip(self.last_blocks, getattr(self, name, ())):
                if last < self.frozen_stages:
                    part.requires_grad_(False)

    @property
    def last_blocks(self) -> Tuple[int, ...]:
        """Index of the last block of each stage."""
        return tuple(end - 1 for end in accumulate(self.depths))

    def pool(
        self, x: Tensor, stage: int, grid: Optional[Grid], patches: Grid
    ) -> Tuple[Tensor, Optional[Grid]]:
        """Tokens of the next stage.

        Args:
            x (Tensor): Of shape B x N x C, the class token first where there is one.
            stage (int): The stage that ends here.
            grid (Tuple[int, int], optional): Height and width in tokens; None where
                tokens have no grid any more.
            patches (Tuple[int, int]): Height and width of the first stage.

        Returns:
            Tuple[Tensor, Tuple[int, int] | None]: The same of the next stage.
        """
        raise NotImplementedError

    def pad(self, images: Tensor) -> Tensor:
        """Images whose sides are multiples of ``pad_multiple``, zeros right and below."""
        height, width = images.shape[-2:]
        return F.pad(images, (0, -width % self.pad_multiple, 0, -height % self.pad_multiple))

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Features of the stages in ``out_indices``.

        Args:
            x (Tensor): Images of shape B x 3 x H x W, of any size.

        Returns:
            Tuple[Tensor, ...]: By ``out_type``: maps of shape B x C x h x w (``'featmap'``),
            tokens B x N x C (``'raw'``), or vectors B x C.
        """
        x, patches = self.patch_embed(self.pad(x))
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1)
        x = x + resize_pos_embed(
            self.pos_embed, self.patch_resolution, patches, self.interpolate_mode,
            self.num_extra_tokens,
        )  # fmt: skip
        x = self.pre_norm(self.drop_after_pos(x))

        outs, block, grid = [], 0, patches
        for stage, depth in enumerate(self.depths):
            for i in range(block, block + depth):
                if self.with_cp and torch.is_grad_enabled():
                    x = cp.checkpoint(self._run_block, i, x, grid, use_reentrant=False)
                else:
                    x = self._run_block(i, x, grid)
            block += depth
            if block == self.num_layers and self.final_norm:
                x = self.ln1(x)
            if stage in self.out_indices:
                key = str(stage)
                out = self.out_norms[key](x) if key in self.out_norms else x
                outs.append(self._format_output(out, grid))
            if block < self.num_layers:
                x, grid = self.pool(x, stage, grid, patches)
        return tuple(outs)

    def _run_block(self, index: int, x: Tensor, grid: Optional[Grid]) -> Tensor:
        layer, window = self.layers[index], self.window_sizes[index]
        table = getattr(layer.attn, 'relative_position_bias_table', None)
        if table is None and (window is None or grid is None or max(grid) <= window):
            return layer(x)  # the plain ViT's own
        attn = layer.attn
        qkv = attn.qkv(layer.ln1(x)).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = attn.attn_drop if self.training else 0.0
        out = window_attention(*qkv, grid, window, table, dropout)
        out = attn.proj(out.transpose(1, 2).flatten(2))
        x = x + attn.out_drop(attn.gamma1(attn.proj_drop(out)))
        return layer.ffn(layer.ln2(x), identity=x)

    def new_in_transfer(self) -> Tuple[str, ...]:
        """Norms of outputs, and of the head's input, which pre-training and transfer differ in."""
        return ('out_norms', 'ln1', 'ln2')

    def _prepare_pos_embed(self, state_dict, prefix, *args, **kwargs) -> None:
        """Resize a checkpoint's position embedding, and drop a class token without use.

        The parent's drops it where no resizing is needed only.
        """
        name = prefix + 'pos_embed'
        if name in state_dict and not self.with_cls_token:
            length = state_dict[name].shape[1]
            own = length == self.pos_embed.shape[1]
            if not own and round((length - 1) ** 0.5) ** 2 == length - 1:
                state_dict[name] = state_dict[name][:, 1:]
            state_dict.pop(prefix + 'cls_token', None)
        super()._prepare_pos_embed(state_dict, prefix, *args, **kwargs)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> Tuple[int, int]:
        """As in the parent; what is learned by pooling belongs to the block before it."""
        parts = param_name[len(prefix) :].split('.')
        if param_name.startswith(prefix) and parts[0] in ('pools', 'pos_embeds'):
            return self.last_blocks[int(parts[1])] + 1, self.num_layers + 2
        return super().get_layer_depth(param_name, prefix)

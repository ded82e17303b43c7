"""HVT: a plain ViT that pools its tokens step by step."""

from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from ...registry import MODELS
from .staged_vit import Grid, StagedViT

_TINY = dict(embed_dims=192, num_layers=12, num_heads=3, feedforward_channels=768)
_SMALL = dict(embed_dims=384, num_layers=12, num_heads=6, feedforward_channels=1536)


@MODELS.register_module()
class HVT(StagedViT):
    """Hierarchical Visual Transformer.

    No class token; after some blocks the sequence of tokens is max-pooled and gets a
    position embedding of its own; the features are the mean of the normalised final tokens.

    Source: `Scalable Visual Transformers with Hierarchical Pooling
    <https://arxiv.org/abs/2103.10619>`_, Sec. 3. Structure and parameters of
    ``pool='1d'`` are those of the released models (``ziplab/HVT``); its weights load through
    ``tools/model_converters/hvt_to_mmpretrain.py``. **Ours:** ``pool='2d'``, images
    of any size, outputs of several stages, overlapping patches and windows (:class:`StagedViT`).

    Args:
        arch (str | dict): ``'ti_1'``, ``'s_0'`` to ``'s_4'`` or ``'scale_ti_4'``, or a dict with
            the keys of ``mmpretrain.VisionTransformer`` and ``pool_after``, the blocks that a
            pool follows. Defaults to 's_1'.
        pool (str): ``'1d'``: the flattened sequence, kernel 3, stride 2, no padding, which
            loses the grid. ``'2d'`` (ours): the grid, kernel 3, stride 2, padding 1, which
            halves both sides (and quarters the tokens). Defaults to '1d'.
        out_type (str): ``'avg_featmap'``: mean of the final tokens; ``'raw'``: tokens;
            ``'featmap'``: maps, with ``pool='2d'`` only. Defaults to 'avg_featmap'.
        **kwargs: Those of :class:`StagedViT` and ``mmpretrain.VisionTransformer``.

    Raises:
        ValueError: If maps, windows or a finer patch stride are asked of ``pool='1d'``, or the
            image is too small for the pools.

    Example:
        >>> HVT('s_1')(torch.rand(1, 3, 224, 224))[0].shape
        torch.Size([1, 384])
        >>> model = HVT('s_3', pool='2d', out_type='featmap', out_indices=(0, 1, 2, 3))
        >>> [tuple(out.shape[2:]) for out in model(torch.rand(1, 3, 224, 224))]
        [(14, 14), (7, 7), (4, 4), (2, 2)]
    """

    arch_zoo = {
        'ti_1': dict(_TINY, pool_after=(0,)),
        's_0': dict(_SMALL, pool_after=()),
        's_1': dict(_SMALL, pool_after=(0,)),
        's_2': dict(_SMALL, pool_after=(0, 6)),
        's_3': dict(_SMALL, pool_after=(0, 4, 8)),
        's_4': dict(_SMALL, pool_after=(0, 3, 6, 9)),
        'scale_ti_4': dict(_SMALL, pool_after=(0, 3, 6, 9)),  # the paper's name for Ti, scaled
    }

    def __init__(
        self, arch='s_1', *, pool: str = '1d', out_type: str = 'avg_featmap', **kwargs
    ) -> None:
        if pool not in ('1d', '2d'):
            raise ValueError(f"pool must be '1d' or '2d', got {pool!r}")
        if out_type not in ('avg_featmap', 'raw', 'featmap'):
            raise ValueError(
                f"out_type must be 'avg_featmap', 'raw' or 'featmap', got {out_type!r}"
            )
        if pool == '1d':
            needs_grid = {key: kwargs.get(key) for key in ('window_size', 'patch_stride')}
            needs_grid['out_type'] = out_type if out_type == 'featmap' else None
            for name, value in needs_grid.items():
                if value is not None:
                    raise ValueError(f"{name}={value!r} needs a grid: pool must be '2d', got '1d'")
        settings = self.arch_zoo.get(arch) if isinstance(arch, str) else arch
        if settings is None or 'pool_after' not in settings:
            raise ValueError(
                f'arch must be one of {list(self.arch_zoo)} or a dict with pool_after, got {arch!r}'
            )
        ends = [*settings['pool_after'], settings['num_layers'] - 1]
        super().__init__(
            arch=arch,
            depths=[end - start for start, end in zip([-1, *ends], ends)],
            with_cls_token=False,
            out_type='featmap' if out_type == 'featmap' else 'raw',
            **kwargs,
        )
        self.pool_type, self.out_type = pool, out_type
        if out_type == 'avg_featmap':
            self.out_norms = nn.ModuleDict()
        lengths = self._lengths(self.patch_resolution)
        self.pos_embeds = nn.ParameterList(
            [nn.Parameter(torch.zeros(1, length, self.embed_dims)) for length in lengths]
        )
        self.freeze_pools()

    def _grids(self, grid: Grid) -> List[Grid]:
        """Grid after each pool, with ``pool='2d'``."""
        grids = []
        for _ in self.depths[1:]:
            grid = tuple((n + 1) // 2 for n in grid)
            grids.append(grid)
        return grids

    def _lengths(self, grid: Grid) -> List[int]:
        """Tokens after each pool, of an image with this grid of patches."""
        if self.pool_type == '2d':
            return [height * width for height, width in self._grids(grid)]
        lengths, length = [], grid[0] * grid[1]
        for _ in self.depths[1:]:
            if length < 3:
                raise ValueError(
                    f'the image is too small: its {grid[0]} x {grid[1]} patches leave less than '
                    f'the 3 tokens that pool {len(lengths) + 1} of {len(self.depths) - 1} takes'
                )
            length = (length - 3) // 2 + 1
            lengths.append(length)
        return lengths

    def init_as_parent(self) -> None:
        super().init_as_parent()
        for position in self.pos_embeds:
            trunc_normal_(position, std=0.02)

    def pool(
        self, x: Tensor, stage: int, grid: Optional[Grid], patches: Grid
    ) -> Tuple[Tensor, Optional[Grid]]:
        self._lengths(patches)  # raises if the image is too small
        if self.pool_type == '2d':
            image = F.max_pool2d(x.transpose(1, 2).unflatten(2, grid), 3, stride=2, padding=1)
            x, grid = image.flatten(2).transpose(1, 2), tuple(image.shape[-2:])
        else:
            x, grid = F.max_pool1d(x.transpose(1, 2), 3, stride=2).transpose(1, 2), None
        position = self.pos_embeds[stage]
        return x + self._resized(position, stage, self.patch_resolution, patches), grid

    def _resized(self, position: Tensor, stage: int, source: Grid, target: Grid) -> Tensor:
        """Position embedding after the pool of a stage, for images of another size.

        With ``pool='1d'`` a token has no place of its own. Token j after k pools is centred on
        patch 2^k (j + 1) - 1 of the image: each patch takes the embedding of the token
        nearest in the sequence, that grid is resized, and the centres of the new
        sequence are read from it (ours).

        Args:
            position (Tensor): Of shape 1 x L x C.
            stage (int): The stage before the pool.
            source (Tuple[int, int]): Grid of patches that ``position`` belongs to.
            target (Tuple[int, int]): Grid of patches of the new images.
        """
        if source == target:
            return position
        if self.pool_type == '2d':
            grids = self._grids(source)[stage], self._grids(target)[stage]
            return resize_pos_embed(position, *grids, self.interpolate_mode, 0)
        step = 2 ** (stage + 1)
        patches = torch.arange(source[0] * source[1], device=position.device)
        nearest = ((patches + 1) / step - 1).round().long().clamp(0, position.shape[1] - 1)
        painted = resize_pos_embed(position[:, nearest], source, target, self.interpolate_mode, 0)
        centres = torch.arange(self._lengths(target)[stage], device=position.device) + 1
        return painted[:, centres * step - 1]

    def _format_output(self, x: Tensor, hw: Optional[Grid]) -> Tensor:
        return x.mean(dim=1) if self.out_type == 'avg_featmap' else super()._format_output(x, hw)

    def _prepare_pos_embed(self, state_dict, prefix, *args, **kwargs) -> None:
        """Resize all position embeddings of a checkpoint; its image is taken to be square."""
        first = state_dict.get(prefix + 'pos_embed')
        side = None if first is None else round(first.shape[1] ** 0.5)
        # not there yet while the parent is being built
        for stage, own in enumerate(self.pos_embeds):
            key = f'{prefix}pos_embeds.{stage}'
            if side is None or key not in state_dict or state_dict[key].shape == own.shape:
                continue
            if state_dict[key].shape[1] != self._lengths((side, side))[stage]:
                continue  # not of this kind of pool: loading reports the shapes
            old = tuple(state_dict[key].shape)
            state_dict[key] = self._resized(
                state_dict[key], stage, (side, side), self.patch_resolution
            )
            MMLogger.get_current_instance().info(
                f'{key}: resized from {old} to {tuple(state_dict[key].shape)}'
            )
        super()._prepare_pos_embed(state_dict, prefix, *args, **kwargs)

"""What green encoders share."""

import inspect
from functools import partial
from typing import Any, Callable, Iterable, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from torch import Tensor, nn

from ...layers import gather_from_grid, sparse_conv2d
from ...layers.drop_path import use_tensor_drop_paths
from ...sparsity import TokenLayout, gather_patches, token_layout, unit_grid
from ..utils import StrictInit


class GreenEncoder(StrictInit):
    """Mixin that goes before a hierarchical backbone in the bases of a green encoder.

    ``forward(images)`` is the dense forward of the parent, untouched.
    ``forward(images, visible)`` calls :meth:`forward_visible`: for each stage the
    patches are embedded or merged, the blocks run, and what ``out_indices`` names
    is put out. A subclass writes these parts, or :meth:`forward_visible` as a
    whole. ``docs/add_a_backbone.md`` shows how.

    Args:
        *args: Those of the parent.
        with_cp (bool): Keep the input of each block only, and compute the rest
            again in the backward, of the sparse and of the dense forward.
            Defaults to False.
        compile_blocks (bool): While training, run the blocks of the sparse forward
            through ``torch.compile``: once per stage, whatever the mask and the
            rate of drop path. Swin and Swin V2 only. Defaults to False.
        **kwargs: Those of the parent.

    Attributes:
        mask_unit (int): Side of a mask unit in pixels, the stride of the last stage.
        strides (Tuple[int, ...]): Stride of each stage to the one before it (to
            the image for the first).
        can_compile (bool): Whether blocks get the mask as tensors alone.

    Raises:
        ValueError: If an option is asked of an encoder that cannot have it.
    """

    mask_unit: int
    strides: Tuple[int, ...]
    can_compile = False

    def __init__(
        self, *args, with_cp: bool = False, compile_blocks: bool = False, **kwargs
    ) -> None:
        has_own = 'with_cp' in inspect.signature(super().__init__).parameters
        if with_cp and has_own:
            kwargs['with_cp'] = True
        super().__init__(*args, **kwargs)
        self._checkpoint_both = with_cp and not has_own
        if compile_blocks and not self.can_compile:
            raise ValueError(
                f'compile_blocks must be False for {type(self).__name__}, got {compile_blocks}: '
                'its blocks look up neighbours of visible tokens, which torch.compile cannot follow'
            )
        self.compile_blocks = compile_blocks
        self._compiled_block: Optional[Callable] = None
        if compile_blocks:
            use_tensor_drop_paths(self)
            self._compiled_block = torch.compile(self.run_block)

    def _checkpoint_blocks(self) -> None:
        """``with_cp`` of a parent that does not know it, for both forwards."""
        if type(self).stage_blocks is GreenEncoder.stage_blocks:
            raise ValueError(
                f'with_cp must be False for {type(self).__name__}, got True: it has no stage_blocks'
            )
        for stage in range(len(self.strides)):
            for block in self.stage_blocks(stage):
                block.with_cp = True
                block.forward = partial(cp.checkpoint, block.forward, use_reentrant=False)

    def set_strides(self, strides: Tuple[int, ...]) -> None:
        """Note the strides of the stages and derive the mask unit; last in ``__init__``.

        Raises:
            ValueError: If a stage after the first has a stride that is no power of two.
        """
        for i, stride in enumerate(strides[1:], 1):
            if stride < 1 or stride & (stride - 1):
                raise ValueError(f'the stride of stage {i} must be a power of two, got {stride}')
        self.strides = tuple(strides)
        self.mask_unit = 1
        for stride in strides:
            self.mask_unit *= stride
        if self._checkpoint_both:
            self._checkpoint_blocks()

    def check_reductions(self, ratios: Sequence[int]) -> None:
        """A spatial reduction must stay inside a mask unit.

        Raises:
            ValueError: If one does not divide the tokens of its stage per unit and axis.
        """
        side = self.mask_unit
        for i, (stride, ratio) in enumerate(zip(self.strides, ratios)):
            side //= stride
            if ratio < 1 or side % ratio or ratio & (ratio - 1):
                raise ValueError(
                    f'sr_ratios[{i}] must be a power of two that divides the {side} tokens of a '
                    f'mask unit ({self.mask_unit} pixels) per axis, got {ratio}'
                )

    def new_in_transfer(self) -> Tuple[str, ...]:
        """Prefixes of parameters that a pre-training checkpoint need not have.

        By default the norms of the outputs: pre-training has that of the last stage.
        """
        return tuple(f'norm{i}' for i in range(len(self.strides)))

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
            return tuple(super().forward(x))
        grid = unit_grid(x.shape[-2:], self.mask_unit)
        if tuple(visible.shape[1:]) != grid or len(visible) not in (1, len(x)):
            raise ValueError(
                f'visible must be of shape (1 or {len(x)}, {grid[0]}, {grid[1]}) for images '
                f'of shape {tuple(x.shape)}, got {tuple(visible.shape)}'
            )
        return self.forward_visible(x, visible)

    def forward_visible(self, images: Tensor, visible: Tensor) -> Tuple[Tensor, ...]:
        """Tokens of the visible units, B x L x C, one tensor per ``out_indices``."""
        layouts = self.layouts(visible)
        x = self.embed_visible(images, visible, layouts[0])
        outs = []
        for stage, layout in enumerate(layouts):
            if stage:
                x = self.merge_visible(stage, x, layouts[stage - 1], layout)
            arguments = self.block_arguments(stage, x, layout)
            for block, others in zip(self.stage_blocks(stage), arguments):
                x = self._run_block(block, x, *others)
            x = self.end_stage(stage, x)
            if stage in self.out_indices:
                outs.append(self.output_visible(stage, x))
        return tuple(outs)

    def _run_block(self, block: nn.Module, x: Tensor, *others: Any) -> Tensor:
        """The one place where blocks of the sparse forward are checkpointed and compiled."""
        run = self.run_block
        if self._compiled_block is not None and self.training and torch.is_grad_enabled():
            run = self._compiled_block
            _mark_shapes(x, others)
        if getattr(block, 'with_cp', False) and torch.is_grad_enabled():
            return cp.checkpoint(run, block, x, *others, use_reentrant=False)
        return run(block, x, *others)

    # the parts of forward_visible

    def embed_visible(self, images: Tensor, visible: Tensor, layout: TokenLayout) -> Tensor:
        """Tokens of the first stage, B x L x C."""
        raise NotImplementedError

    def merge_visible(
        self, stage: int, x: Tensor, finer: TokenLayout, layout: TokenLayout
    ) -> Tensor:
        """Tokens of a later stage from those of the stage before it."""
        raise NotImplementedError

    def stage_blocks(self, stage: int) -> Sequence[nn.Module]:
        """The blocks of a stage."""
        raise NotImplementedError

    def block_arguments(self, stage: int, x: Tensor, layout: TokenLayout) -> Iterable[tuple]:
        """What each block of a stage needs besides the tokens, a tuple per block."""
        raise NotImplementedError

    @staticmethod
    def run_block(block: nn.Module, x: Tensor, *others: Any) -> Tensor:
        """A block on visible tokens, B x L x C."""
        raise NotImplementedError

    def end_stage(self, stage: int, x: Tensor) -> Tensor:
        """What goes to the next stage. By default the tokens as they are."""
        return x

    def output_visible(self, stage: int, x: Tensor) -> Tensor:
        """What is put out of a stage. By default the tokens as they are."""
        return x

    def layouts(self, visible: Tensor) -> Tuple[TokenLayout, ...]:
        """Where the tokens of each stage sit."""
        side, layouts = self.mask_unit, []
        for stride in self.strides:
            side //= stride
            layouts.append(token_layout(visible, side))
        return tuple(layouts)

    def embed(
        self, images: Tensor, visible: Tensor, conv: nn.Conv2d, layout: TokenLayout
    ) -> Tensor:
        """Patch embedding of the visible patches, B x L x C; hidden pixels count as zeros.

        Args:
            images (Tensor): Images of shape B x 3 x H x W.
            visible (Tensor): Bool of shape 1 x Mh x Mw or B x Mh x Mw, on the CPU.
            conv (nn.Conv2d): The embedding; its kernel may be larger than its stride.
            layout (TokenLayout): Of the first stage.
        """
        if conv.kernel_size == conv.stride and conv.padding == (0, 0):
            patches = gather_patches(images, visible, self.strides[0], self.mask_unit)
            return F.linear(patches, conv.weight.flatten(1), conv.bias)
        pixels = visible.to(images.device, non_blocking=True)[:, None]
        for axis in (2, 3):
            pixels = pixels.repeat_interleave(self.mask_unit, axis)
        # where, not a product: nothing of a hidden pixel may pass, not even NaN
        return gather_from_grid(conv(torch.where(pixels, images, 0)), layout)


def _mark_shapes(x: Tensor, others: tuple) -> None:
    """Tell ``torch.compile`` what changes from step to step: the number and size of groups."""
    torch._dynamo.mark_static(x)
    for index in others:
        for tensor in index:
            torch._dynamo.maybe_mark_dynamic(tensor, list(range(tensor.ndim)))


def spatially_reduced(attention: nn.Module, x: Tensor, layout: TokenLayout) -> Tensor:
    """Keys of an attention with ``sr_ratio``, ``sr`` and ``norm`` (Twins, PVT): B x L' x C."""
    if attention.sr_ratio == 1:
        return x
    coarse = layout.coarser(attention.sr_ratio)
    return attention.norm(sparse_conv2d(x, attention.sr, layout, coarse))

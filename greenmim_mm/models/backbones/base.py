"""What green encoders share."""

from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers import gather_from_grid, sparse_conv2d
from ...sparsity import TokenLayout, gather_patches, token_layout, unit_grid
from ..utils import StrictInit


class GreenEncoder(StrictInit):
    """Mixin that goes before a hierarchical backbone in the bases of a green encoder.

    ``forward(images)`` is the dense forward of the parent, untouched.
    ``forward(images, visible)`` calls :meth:`forward_visible`, which a subclass
    writes. ``docs/add_a_backbone.md`` shows how.

    Attributes:
        mask_unit (int): Side of a mask unit in pixels, the stride of the last stage.
        strides (Tuple[int, ...]): Stride of each stage to the one before it (to
            the image for the first).
    """

    mask_unit: int
    strides: Tuple[int, ...]

    def set_strides(self, strides: Tuple[int, ...]) -> None:
        """Note the strides of the stages and derive the mask unit.

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
        raise NotImplementedError

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
        if conv.kernel_size == conv.stride:
            patches = gather_patches(images, visible, self.strides[0], self.mask_unit)
            return F.linear(patches, conv.weight.flatten(1), conv.bias)
        pixels = visible.to(images.device, non_blocking=True)[:, None]
        for axis in (2, 3):
            pixels = pixels.repeat_interleave(self.mask_unit, axis)
        # where, not a product: nothing of a hidden pixel may pass, not even NaN
        return gather_from_grid(conv(torch.where(pixels, images, 0)), layout)


def spatially_reduced(attention: nn.Module, x: Tensor, layout: TokenLayout) -> Tensor:
    """Keys of an attention with ``sr_ratio``, ``sr`` and ``norm`` (Twins, PVT): B x L' x C."""
    if attention.sr_ratio == 1:
        return x
    coarse = layout.coarser(attention.sr_ratio)
    return attention.norm(sparse_conv2d(x, attention.sr, layout, coarse))

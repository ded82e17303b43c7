"""Which tokens a stage holds, in which order, and where they sit.

Shapes: N masks (1 shared, or B), Mh x Mw mask units, U visible units per mask,
``side`` tokens per unit and axis, L = U * side^2 visible tokens, H x W the full
token grid (H = Mh * side), C channels, p pixels per token and axis.

Order: mask units in raster order; inside a unit the tokens are in z-order::

    one unit, side = 4         so that four consecutive tokens are a 2x2 block
    +----+----+----+----+
    |  0 |  1 |  4 |  5 |      stage k:    [0 1 2 3] [4 5 6 7] [8 ..  ] ...
    |  2 |  3 |  6 |  7 |                      |         |         |
    +----+----+----+----+      stage k+1:      0         1         2    ...
    |  8 |  9 | 12 | 13 |
    | 10 | 11 | 14 | 15 |      a 2x2 merge is a reshape, and the order of the
    +----+----+----+----+      next stage is again this order.

Consequence: tokens are not in raster order; every index into the full grid
comes from :class:`TokenLayout`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Tuple

import numpy as np
import torch
from torch import Tensor


@cache
def z_order(side: int) -> Tuple[np.ndarray, np.ndarray]:
    """Row and column of each token of a ``side`` x ``side`` block in z-order.

    Raises:
        ValueError: If ``side`` is not a power of two.
    """
    if side < 1 or side & (side - 1):
        raise ValueError(f'side must be a power of two, got {side}')
    code = np.arange(side * side)
    row, col = np.zeros_like(code), np.zeros_like(code)
    for bit in range(side.bit_length() - 1):
        col |= (code >> (2 * bit) & 1) << bit
        row |= (code >> (2 * bit + 1) & 1) << bit
    return row, col


def merge_z_order(x: Tensor, dim: int) -> Tensor:
    """Merge the axes ``dim`` and ``dim + 1``, rows and columns of a block, into one in z-order.

    Args:
        x (Tensor): Both axes are of the same length, a power of two.
        dim (int): The axis of the rows, not negative.
    """
    before, side, after = x.shape[:dim], x.shape[dim], x.shape[dim + 2 :]
    bits = side.bit_length() - 1
    x = x.reshape(*before, *[2] * (2 * bits), *after)
    interleaved = [dim + bit + axis * bits for bit in range(bits) for axis in (0, 1)]
    x = x.permute(*range(dim), *interleaved, *range(dim + 2 * bits, x.ndim))
    return x.reshape(*before, side * side, *after)


@dataclass(frozen=True, eq=False)  # equal if the same object: a key for what is derived from it
class TokenLayout:
    """Positions of the visible tokens of one stage.

    Attributes:
        row (np.ndarray): Row of each token in the full grid, of shape N x L.
        col (np.ndarray): Column, of shape N x L.
        grid (Tuple[int, int]): Height and width of the full token grid.
        side (int): Tokens per mask unit and axis.
    """

    row: np.ndarray
    col: np.ndarray
    grid: Tuple[int, int]
    side: int

    @property
    def flat_index(self) -> Tensor:
        """Index ``row * W + col`` into the flattened grid, int64 of shape N x L."""
        return torch.from_numpy(self.row * self.grid[1] + self.col)

    def coarser(self, factor: int) -> 'TokenLayout':
        """Layout of the ``factor`` x ``factor`` blocks of tokens.

        Args:
            factor (int): A power of two that divides ``side``.
        """
        step = factor**2
        row, col = self.row[:, ::step] // factor, self.col[:, ::step] // factor
        grid = (self.grid[0] // factor, self.grid[1] // factor)
        return TokenLayout(row, col, grid, self.side // factor)


def token_layout(visible: Tensor, side: int) -> TokenLayout:
    """Lay out the tokens of the visible units.

    Args:
        visible (Tensor): Bool of shape N x Mh x Mw on the CPU, True = seen.
        side (int): Tokens per mask unit and axis: 8, 4, 2, 1 for the four
            stages of Swin.

    Raises:
        ValueError: If ``visible`` has another shape or type, or the masks have
            different numbers of visible units.
    """
    if visible.ndim != 3 or visible.dtype != torch.bool:
        raise ValueError(
            'visible must be a bool tensor of shape (N, Mh, Mw), '
            f'got {visible.dtype} of shape {tuple(visible.shape)}'
        )
    mask, unit_row, unit_col = visible.numpy().nonzero()
    counts = np.bincount(mask, minlength=len(visible))
    if counts.min() != counts.max() or counts[0] == 0:
        raise ValueError(
            'visible must hold the same positive number of visible units for every image, '
            f'got between {counts.min()} and {counts.max()}'
        )
    row_in_unit, col_in_unit = z_order(side)
    row = unit_row[:, None] * side + row_in_unit
    col = unit_col[:, None] * side + col_in_unit
    grid = (visible.shape[1] * side, visible.shape[2] * side)
    row, col = (places.reshape(len(visible), -1) for places in (row, col))
    return TokenLayout(row, col, grid, side)


def gather_patches(images: Tensor, visible: Tensor, patch: int, unit: int) -> Tensor:
    """Cut the visible patches out of the images; hidden pixels are never read.

    Args:
        images (Tensor): Images of shape B x C x H x W (pixels).
        visible (Tensor): Bool of shape N x Mh x Mw, N = 1 or B.
        patch (int): Side p of a patch in pixels.
        unit (int): Side of a mask unit in pixels.

    Returns:
        Tensor: Patches in token order, of shape B x L x (C * p * p), channel
        first as in the weight of ``nn.Conv2d``.
    """
    batch, channels, _, _ = images.shape
    masks, rows, cols = visible.shape
    units = images.view(batch, channels, rows, unit, cols, unit).permute(0, 2, 4, 1, 3, 5)
    index = visible.nonzero(as_tuple=True) if masks > 1 else visible[0].nonzero(as_tuple=True)
    index = tuple(i.to(images.device, non_blocking=True) for i in index)
    units = units[index] if masks > 1 else units[(slice(None), *index)]
    side = unit // patch
    units = units.reshape(-1, channels, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5)
    return merge_z_order(units, 1).reshape(batch, -1, channels * patch * patch)


def scatter_to_grid(tokens: Tensor, layout: TokenLayout, fill: float = 0.0) -> Tensor:
    """Put visible tokens at their places in the full grid.

    Args:
        tokens (Tensor): Features of shape B x L x C.
        layout (TokenLayout): Of one mask, or of B.
        fill (float): Value of hidden positions. Defaults to 0.

    Returns:
        Tensor: Features of shape B x H x W x C.
    """
    batch, _, channels = tokens.shape
    height, width = layout.grid
    index = layout.flat_index.to(tokens.device, non_blocking=True)[:, :, None].expand(
        batch, -1, channels
    )
    full = tokens.new_full((batch, height * width, channels), fill)
    return full.scatter(1, index, tokens).view(batch, height, width, channels)

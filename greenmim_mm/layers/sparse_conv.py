"""Convolution on visible tokens: hidden input contributes nothing, hidden output is not computed.

Shapes: B images, L visible tokens of an image in the order of
:mod:`greenmim_mm.sparsity.tokens`, L' those of the output, T and T' the tokens that
one index covers (L, or B * L with per-image masks), X = B * L / T times that it is
applied, C input and O output channels, K = kernel height x width.

The result at visible places is that of ``F.conv2d`` on a map in which hidden
places are zero; weights are those of ``nn.Conv2d``, with the same keys and shapes.

    kernel = stride (spatial reduction, merging)   the K inputs of a token lie in its mask
                                                   unit and follow each other in token order:
                                                   a reshape and a matrix product
    any other                                      'gather': K visible neighbours (zero where
                                                   there is none), then a matrix product;
                                                   'tiles': each visible mask unit with the
                                                   tokens around it, then ``F.conv2d``;
                                                   'dense': scatter to the dense map,
                                                   ``F.conv2d``, gather

'auto' takes 'gather' for full convolutions, and for depth-wise ones 'tiles' or 'dense' by the
number of places to compute; measured in ``docs/performance.md``.
"""

from functools import lru_cache
from typing import Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..sparsity import TokenLayout, merge_z_order, scatter_to_grid

IMPLEMENTATIONS = ('auto', 'gather', 'tiles', 'dense')


def block_conv(x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Convolution whose kernel equals its stride, a power of two.

    Args:
        x (Tensor): Tokens of shape B x L x C.
        weight (Tensor): Of shape O x C x k x k; a mask unit is a multiple of k wide.
        bias (Tensor, optional): Of shape O.

    Returns:
        Tensor: Tokens of shape B x (L / k^2) x O.
    """
    batch, length, channels = x.shape
    taps = weight.shape[-1] ** 2
    flat = merge_z_order(weight.permute(0, 2, 3, 1), 1).flatten(1)  # taps in token order
    return F.linear(x.reshape(batch, length // taps, taps * channels), flat, bias)


def neighbour_index(
    source: TokenLayout,
    target: TokenLayout,
    kernel: Tuple[int, int],
    stride: Tuple[int, int] = (1, 1),
    padding: Tuple[int, int] = (0, 0),
) -> Tensor:
    """Token under every tap of the kernel, for every visible output.

    Args:
        source (TokenLayout): Of the input, N masks.
        target (TokenLayout): Of the output, the same masks.
        kernel (Tuple[int, int]): Height and width.
        stride (Tuple[int, int]): Vertical and horizontal. Defaults to 1.
        padding (Tuple[int, int]): Zero rows and columns at each border. Defaults to 0.

    Returns:
        Tensor: int64 of shape T' x K; T where the tap sees a hidden place or the border.
    """
    masks, length = source.row.shape
    height, width = source.grid
    nothing = masks * length
    # a border as wide as the padding, so that no tap is outside
    token = np.full((masks, height + 2 * padding[0], width + 2 * padding[1]), nothing)
    mask = np.arange(masks)[:, None]
    token[mask, source.row + padding[0], source.col + padding[1]] = np.arange(nothing).reshape(
        masks, length
    )
    tap_row, tap_col = np.indices(kernel).reshape(2, -1)
    row = target.row[:, :, None] * stride[0] + tap_row
    col = target.col[:, :, None] * stride[1] + tap_col
    return torch.from_numpy(token[mask[:, :, None], row, col].reshape(-1, len(tap_row)))


def _gather_rows(x: Tensor, source: TokenLayout, index: Tensor) -> Tensor:
    """Tokens by :func:`neighbour_index`, zeros where there is none: X x T' x K x C."""
    tokens = source.row.size  # one mask: L; one per image: B * L
    rows = torch.cat([x.flatten(0, 1), x.new_zeros(1, x.shape[-1])])
    nothing = len(rows) - 1
    index = index.to(x.device, non_blocking=True)
    offset = torch.arange(0, nothing, tokens, device=x.device)[:, None, None]
    index = torch.where(index == tokens, nothing, index + offset)
    return F.embedding(index, rows, padding_idx=nothing)


def _gather_conv(x: Tensor, conv: nn.Conv2d, source: TokenLayout, target: TokenLayout) -> Tensor:
    index = neighbour_index(source, target, conv.kernel_size, conv.stride, conv.padding)
    columns = _gather_rows(x, source, index)
    if conv.groups == 1:
        weight = conv.weight.flatten(2).transpose(1, 2).flatten(1)
        out = F.linear(columns.flatten(2), weight, conv.bias)
    else:
        out = torch.einsum('xtkc,ck->xtc', columns, conv.weight.flatten(1).to(x.dtype))
        out = out if conv.bias is None else out + conv.bias.to(out.dtype)
    return out.reshape(len(x), -1, conv.out_channels)


@lru_cache(maxsize=4)  # the blocks of a stage ask for the same one
def _tile_index(source: TokenLayout, size: Tuple[int, int], padding: Tuple[int, int]) -> Tensor:
    """Tokens of every visible unit and of what is around it."""
    stride = (source.side, source.side)
    return neighbour_index(source, source.coarser(source.side), size, stride, padding)


def _tile_conv(x: Tensor, conv: nn.Conv2d, source: TokenLayout, target: TokenLayout) -> Tensor:
    height, width = (
        source.side + kernel - stride for kernel, stride in zip(conv.kernel_size, conv.stride)
    )
    index = _tile_index(source, (height, width), conv.padding)
    tiles = _gather_rows(x, source, index).view(-1, height, width, x.shape[-1])
    out = F.conv2d(
        tiles.permute(0, 3, 1, 2), conv.weight, conv.bias, conv.stride, 0, 1, conv.groups
    )
    return merge_z_order(out.permute(0, 2, 3, 1), 1).reshape(len(x), -1, conv.out_channels)


def sparse_conv2d(
    x: Tensor,
    conv: nn.Conv2d,
    source: TokenLayout,
    target: Optional[TokenLayout] = None,
    implementation: str = 'auto',
) -> Tensor:
    """``conv`` on visible tokens; hidden input is zero, hidden output is not computed.

    Args:
        x (Tensor): Tokens of shape B x L x C.
        conv (nn.Conv2d): Without dilation; full (``groups=1``) or depth-wise.
        source (TokenLayout): Where the tokens of ``x`` sit.
        target (TokenLayout, optional): Where those of the output sit. Defaults to
            None, the same places.
        implementation (str): 'gather', 'tiles', 'dense', or 'auto' for the fastest.

    Returns:
        Tensor: Tokens of shape B x L' x O.

    Raises:
        ValueError: If the convolution is dilated, grouped otherwise, padded other
            than with zeros, or ``implementation`` is unknown.
    """
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f'implementation must be one of {IMPLEMENTATIONS}, got {implementation!r}')
    depthwise = conv.groups == conv.in_channels == conv.out_channels
    if not (depthwise or conv.groups == 1) or conv.dilation != (1, 1):
        raise ValueError(f'conv must be full or depth-wise, without dilation, got {conv}')
    if conv.padding_mode != 'zeros' or isinstance(conv.padding, str):
        raise ValueError(f'conv must be padded with a number of zeros, got {conv}')
    target = source if target is None else target
    side = conv.kernel_size[0]
    if conv.kernel_size == conv.stride == (1, 1) and conv.groups == 1:
        return F.linear(x, conv.weight.flatten(1), conv.bias)
    if implementation == 'auto':
        nested = conv.kernel_size == conv.stride == (side, side) and source.side % side == 0
        if nested and conv.groups == 1 and conv.padding == (0, 0):
            return block_conv(x, conv.weight, conv.bias)
        implementation = 'gather' if conv.groups == 1 else _fewer_places(conv, source)
    function = {'gather': _gather_conv, 'tiles': _tile_conv, 'dense': _dense_conv}[implementation]
    return function(x, conv, source, target)


def _fewer_places(conv: nn.Conv2d, source: TokenLayout) -> str:
    """'tiles' or 'dense', by the places of the map that each reads; a gathered one costs more."""
    height, width = (source.side + kernel - 1 for kernel in conv.kernel_size)
    units = source.row.shape[1] // source.side**2
    places = 1.25 * units * height * width
    return 'tiles' if places < source.grid[0] * source.grid[1] else 'dense'


def _dense_conv(x: Tensor, conv: nn.Conv2d, source: TokenLayout, target: TokenLayout) -> Tensor:
    """Scatter to the zero-filled map, convolve, gather."""
    grid = scatter_to_grid(x, source).permute(0, 3, 1, 2)  # channels last in memory
    return gather_from_grid(conv(grid), target)


def gather_from_grid(grid: Tensor, layout: TokenLayout) -> Tensor:
    """Visible tokens of a map of shape B x C x H x W: B x L x C."""
    index = layout.flat_index.to(grid.device, non_blocking=True)
    rows = grid.flatten(2).transpose(1, 2)
    if len(index) == 1:
        return rows.index_select(1, index[0])
    return rows.gather(1, index[:, :, None].expand(-1, -1, rows.shape[-1]))


def sparse_avg_pool2d(x: Tensor, kernel: int) -> Tensor:
    """Average pooling with kernel = stride, inside the mask units.

    Args:
        x (Tensor): Tokens of shape B x L x C.
        kernel (int): Side of the pooling window, a power of two; a mask unit is a
            multiple of it wide.

    Returns:
        Tensor: Tokens of shape B x (L / kernel^2) x C.
    """
    return x.unflatten(1, (-1, kernel**2)).mean(2)

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
                                                   'dense': scatter to the dense map,
                                                   ``F.conv2d``, gather

'auto' takes 'gather' for full and 'dense' for depth-wise convolutions, as measured
(``docs/performance.md``).
"""

from typing import Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..sparsity import TokenLayout, scatter_to_grid, z_order

IMPLEMENTATIONS = ('auto', 'gather', 'dense')


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
    row, col = z_order(weight.shape[-1])
    flat = weight[:, :, row, col].transpose(1, 2).flatten(1)  # O x (k^2 * C), taps in token order
    return F.linear(x.reshape(batch, length // len(row), len(row) * channels), flat, bias)


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


def _gather_conv(x: Tensor, conv: nn.Conv2d, index: Tensor, depthwise: bool) -> Tensor:
    """Gather the neighbours, then multiply: X x T x C to X x T' x O."""
    times, tokens, channels = x.shape
    rows = torch.cat([x.flatten(0, 1), x.new_zeros(1, channels)])  # the last one: no neighbour
    offset = tokens * torch.arange(times, device=x.device)[:, None, None]
    index = torch.where(index == tokens, times * tokens, index + offset)  # X x T' x K
    columns = F.embedding(index, rows, padding_idx=times * tokens)  # X x T' x K x C
    if depthwise:
        out = torch.einsum('xtkc,ck->xtc', columns, conv.weight.flatten(1).to(x.dtype))
        return out if conv.bias is None else out + conv.bias.to(out.dtype)
    weight = conv.weight.flatten(2).transpose(1, 2).flatten(1)
    return F.linear(columns.flatten(2), weight, conv.bias)


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
        implementation (str): 'gather', 'dense', or 'auto' for the faster one.

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
    kernel = conv.kernel_size
    side = kernel[0]
    if not depthwise and kernel == conv.stride == (side, side) and not side & (side - 1):
        if side == 1:
            return F.linear(x, conv.weight.flatten(1), conv.bias)
        if x.shape[1] == target.row.shape[1] * side**2:
            return block_conv(x, conv.weight, conv.bias)
    if implementation == 'dense' or (implementation == 'auto' and depthwise):
        return _dense_conv(x, conv, source, target)
    batch = len(x)
    tokens = source.row.size  # one mask: L; one per image: B * L
    index = neighbour_index(source, target, kernel, conv.stride, conv.padding)
    index = index.to(x.device, non_blocking=True)
    out = _gather_conv(x.reshape(-1, tokens, x.shape[-1]), conv, index, depthwise)
    return out.view(batch, -1, conv.out_channels)


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


def sparse_avg_pool2d(x: Tensor, kernel: int, source: TokenLayout, target: TokenLayout) -> Tensor:
    """Average pooling with kernel = stride; hidden places count as zeros.

    Args:
        x (Tensor): Tokens of shape B x L x C.
        kernel (int): Side of the pooling window.
        source (TokenLayout): Where the tokens of ``x`` sit.
        target (TokenLayout): Where those of the output sit.
    """
    channels = x.shape[-1]
    pool = nn.Conv2d(channels, channels, kernel, kernel, groups=channels, bias=False)
    pool.requires_grad_(False).weight.fill_(1 / kernel**2)
    return sparse_conv2d(x, pool.to(x), source, target)

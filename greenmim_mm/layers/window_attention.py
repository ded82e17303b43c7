"""Attention on a grid of tokens, in windows or among all of them.

Shapes: B batch, H heads, E extra tokens (class token), h x w grid, N = E + h w tokens,
D channels per head, S side of a window, W windows.

::

    grid, S = 2          windows               a token sees
    a b c | .            [a b f g] [c . h .]   its window (the padding of the second one is
    f g h | .            ...                   masked) and the extra tokens; an extra token
    -----                                      sees every token of the image
"""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def _into_windows(x: Tensor, side: int) -> Tensor:
    """B x H x h x w x D to B x W x H x S S x D; a grid that is no multiple is padded with zeros."""
    b, heads, height, width, dim = x.shape
    x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    x = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # B x H x Wh x S x Ww x S x D
    return x.permute(0, 2, 4, 1, 3, 5, 6).reshape(b, -1, heads, side * side, dim)


def _out_of_windows(x: Tensor, side: int, grid: Tuple[int, int]) -> Tensor:
    """B x W x H x S S x D to B x H x h w x D, the inverse of :func:`_into_windows`."""
    b, _, heads, _, dim = x.shape
    height, width = grid
    columns = -(-width // side)
    x = x.reshape(b, -1, columns, heads, side, side, dim).permute(0, 3, 1, 4, 2, 5, 6)
    x = x.reshape(b, heads, -1, columns * side, dim)[:, :, :height, :width]
    return x.flatten(2, 3)


def relative_position_bias(table: Tensor, grid: Tuple[int, int], extra: int = 0) -> Tensor:
    """Bias between every two tokens of a grid, H x N x N.

    Args:
        table (Tensor): Of shape (2 S - 1)^2 x H: a row per offset (query minus key) of two
            tokens of an S x S window, row by row from (1 - S, 1 - S). For a grid larger than
            the window it is stretched bicubically over the larger offsets, as Swin
            does between windows.
        grid (Tuple[int, int]): Height and width in tokens.
        extra (int): Tokens before those of the grid; their bias is zero. Defaults to 0.

    Raises:
        ValueError: If the number of rows is not the square of an odd number.
    """
    rows, heads = table.shape
    side = round(rows**0.5)
    if side * side != rows or side % 2 == 0:
        raise ValueError(f'table must have (2 S - 1)^2 rows, got {rows}')
    height, width = (max(2 * n - 1, side) for n in grid)
    image = table.t().reshape(1, heads, side, side)
    if (height, width) != (side, side):
        size = (height, width)
        image = F.interpolate(image.float(), size, mode='bicubic', align_corners=True)
    row, col = (torch.arange(n, device=table.device) for n in grid)
    row = row[:, None] - row + height // 2  # h x h, query minus key
    col = col[:, None] - col + width // 2
    bias = image[0][:, row[:, None, :, None], col[None, :, None, :]]  # H x h x w x h x w
    bias = bias.flatten(3, 4).flatten(1, 2).to(table.dtype)
    return F.pad(bias, (extra, 0, extra, 0))


def window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    grid: Tuple[int, int],
    window: Optional[int] = None,
    table: Optional[Tensor] = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention of each token over its window and the extra tokens.

    Equal to attention among all N tokens with every pair of tokens in different windows
    masked. Windows start at the upper left corner of the grid; those that stick out are
    smaller (their padding is masked). A grid no larger than the window is one window.

    Args:
        q (Tensor): Queries of shape B x H x N x D; the extra tokens come first.
        k (Tensor): Keys, of the same shape.
        v (Tensor): Values, of the same shape.
        grid (Tuple[int, int]): Height and width of the grid in tokens.
        window (int, optional): Side of a window in tokens; None: all tokens see each other.
        table (Tensor, optional): Relative position bias, see :func:`relative_position_bias`.
        dropout (float): Of the attention weights. Defaults to 0.

    Returns:
        Tensor: Of shape B x H x N x D.

    Source: windows with a few global blocks as in `ViTDet <https://arxiv.org/abs/2203.16527>`_,
    Sec. 3; there padding takes part in attention and the class token is dropped.
    """
    extra = q.shape[2] - grid[0] * grid[1]
    if window is None or max(grid) <= window:
        bias = None if table is None else relative_position_bias(table, grid, extra)
        bias = None if bias is None else bias.to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)

    def windows(x):  # B x W x H x S S x D
        return _into_windows(x[:, :, extra:].unflatten(2, grid), window)

    def with_extra(x):
        tokens = windows(x)
        shared = x[:, None, :, :extra].expand(-1, tokens.shape[1], -1, -1, -1)
        return torch.cat([shared, tokens], dim=3)

    queries, keys, values = windows(q), with_extra(k), with_extra(v)
    number = queries.shape[1]
    bias = None
    if table is not None:
        bias = relative_position_bias(table, (window, window), extra)[:, extra:].to(q.dtype)
    if grid[0] % window or grid[1] % window:
        inside = torch.ones(1, 1, *grid, 1, dtype=torch.bool, device=q.device)
        inside = F.pad(_into_windows(inside, window)[0, :, :, None, :, 0], (extra, 0), value=True)
        padding = torch.zeros(inside.shape, dtype=q.dtype, device=q.device)  # W x 1 x 1 x E + S S
        padding = padding.masked_fill(~inside, float('-inf'))
        bias = padding if bias is None else padding + bias
        bias = bias.repeat(len(q), 1, 1, 1)
    out = F.scaled_dot_product_attention(
        *(x.flatten(0, 1) for x in (queries, keys, values)), attn_mask=bias, dropout_p=dropout
    )
    out = _out_of_windows(out.unflatten(0, (-1, number)), window, grid)
    if extra:
        first = F.scaled_dot_product_attention(q[:, :, :extra], k, v, dropout_p=dropout)
        out = torch.cat([first, out], dim=2)
    return out

"""What MMPretrain's dense window attention does, seen from outside."""

from typing import Optional, Tuple

import torch
from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor


def attended(attention: ShiftWindowMSA, grid: Tuple[int, int]) -> Optional[Tensor]:
    """Which token of a map depends on which in the dense forward: bool of shape L x L.

    None where the dense forward refuses the map.
    """
    attention = attention.double()
    length = grid[0] * grid[1]
    x = torch.randn(1, length, attention.w_msa.embed_dims, dtype=torch.double, requires_grad=True)
    try:
        out = attention(x, grid)[0].sum(-1)
    except AssertionError as error:
        assert 'smaller than the window' in str(error)
        return None
    one_by_one = torch.eye(length, dtype=torch.double)
    (rows,) = torch.autograd.grad(out, x, one_by_one, is_grads_batched=True)
    return rows[:, 0].abs().sum(-1) > 1e-30  # of a masked pair, exp(-100) is left


def dense_shift(attention: ShiftWindowMSA, grid: Tuple[int, int]) -> int:
    """Shift with which the dense forward makes its mask; 0 where it refuses the map."""
    shifts = []
    original = ShiftWindowMSA.get_attn_mask

    def spy(hw_shape, window_size, shift_size, device=None):
        shifts.append(shift_size)
        return original(hw_shape, window_size, shift_size, device)

    attention.get_attn_mask = spy
    weight = attention.w_msa.qkv.weight
    try:
        with torch.no_grad():
            attention(weight.new_zeros(1, grid[0] * grid[1], weight.shape[1]), tuple(grid))
    except AssertionError as error:
        assert 'smaller than the window' in str(error)
        return 0
    finally:
        del attention.get_attn_mask
    return shifts[0]

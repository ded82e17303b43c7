"""Attention in windows against a loop over pairs of tokens."""

import pytest
import torch

from greenmim_mm.layers import relative_position_bias, window_attention


def naive(q, k, v, grid, window, table):
    """Softmax over the allowed pairs, one query at a time."""
    extra = q.shape[2] - grid[0] * grid[1]
    side = None if table is None else round(table.shape[0] ** 0.5) // 2 + 1
    where = [None] * extra + [(r, c) for r in range(grid[0]) for c in range(grid[1])]
    out = torch.zeros_like(q)
    for i, query in enumerate(where):
        keys, bias = [], []
        for j, key in enumerate(where):
            places = query is not None and key is not None
            if places and window and [n // window for n in query] != [n // window for n in key]:
                continue
            keys.append(j)
            if table is None or not places:
                bias.append(q.new_zeros(q.shape[1]))
            else:
                row, col = (a - b + side - 1 for a, b in zip(query, key))
                bias.append(table[row * (2 * side - 1) + col])
        scores = torch.einsum('bhd,bhnd->bhn', q[:, :, i], k[:, :, keys]) / q.shape[-1] ** 0.5
        weights = (scores + torch.stack(bias, 1)).softmax(-1)
        out[:, :, i] = torch.einsum('bhn,bhnd->bhd', weights, v[:, :, keys])
    return out


@pytest.mark.parametrize('with_table', [False, True])
@pytest.mark.parametrize('extra', [0, 1])
@pytest.mark.parametrize(
    ('grid', 'window'), [((4, 6), 2), ((5, 7), 3), ((3, 3), 4), ((2, 5), 3), ((4, 3), None)]
)
def test_equals_a_loop_over_pairs(grid, window, extra, with_table):
    number = extra + grid[0] * grid[1]
    q, k, v = torch.randn(3, 2, 2, number, 4, dtype=torch.float64).requires_grad_().unbind()
    side = window or max(grid)
    table = None
    if with_table:
        table = torch.randn((2 * side - 1) ** 2, 2, dtype=torch.float64, requires_grad=True)
    inputs = [x for x in (q, k, v, table) if x is not None]
    out = window_attention(q, k, v, grid, window, table)
    expected = naive(q, k, v, grid, window, table)
    torch.testing.assert_close(out, expected)
    weight = torch.randn_like(out)
    for ours, theirs in zip(
        torch.autograd.grad((out * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
    ):
        torch.testing.assert_close(ours, theirs)


def test_table_of_another_grid():
    """A smaller grid takes the offsets it has; a larger one keeps corners and centre."""
    table = torch.randn(7 * 7, 3)
    image = table.t().reshape(3, 7, 7)
    small = relative_position_bias(table, (2, 3))
    assert small.shape == (3, 6, 6)
    # query (1, 0), key (0, 2): offset (1, -2)
    torch.testing.assert_close(small[:, 3, 2], image[:, 3 + 1, 3 - 2])
    large = relative_position_bias(table, (6, 6))
    torch.testing.assert_close(large[:, 0, 0], image[:, 3, 3])
    torch.testing.assert_close(large[:, 0, 35], image[:, 0, 0])
    torch.testing.assert_close(large[:, 35, 0], image[:, 6, 6])


def test_a_table_must_be_of_a_window():
    with pytest.raises(ValueError, match=r'\(2 S - 1\)\^2 rows, got 48'):
        relative_position_bias(torch.zeros(48, 2), (4, 4))


def test_padding_of_windows_passes_nothing():
    """Nothing of the padding, no NaN where a window has a single real token."""
    q = torch.randn(1, 1, 25, 4, requires_grad=True)
    out = window_attention(q, q, q, (5, 5), 4)
    torch.testing.assert_close(out[0, 0, 24], q[0, 0, 24])  # alone in its window
    out.sum().backward()
    assert q.grad.isfinite().all()

import pytest
import torch

from greenmim_mm.layers import group_attention, relative_position_bias
from greenmim_mm.sparsity import RandomMasking, build_group_plan, token_layout, window_ids


def naive_group_attention(qkv, table, layout, window, shift, scale):
    """A plain loop over images, windows and heads."""
    batch, length, _ = qkv.shape
    heads = table.shape[1]
    ids = torch.from_numpy(window_ids(layout, window, shift)).view(len(layout.row), length)
    row, col = torch.from_numpy(layout.row), torch.from_numpy(layout.col)
    out = []
    for b in range(batch):
        mask = b if len(layout.row) > 1 else 0
        q, k, v = qkv[b].view(length, 3, heads, -1).unbind(1)
        result = torch.zeros_like(q)
        for window_id in ids[mask].unique():
            members = (ids[mask] == window_id).nonzero()[:, 0]
            r, c = row[mask, members], col[mask, members]
            for h in range(heads):
                logits = scale * q[members, h] @ k[members, h].T
                relative = (r[:, None] - r + window - 1) * (2 * window - 1)
                relative = relative + c[:, None] - c + window - 1
                weights = (logits + table[relative, h]).softmax(-1)
                index = (members, torch.full_like(members, h))
                result = result.index_put(index, weights @ v[members, h])
        out.append(result.flatten(1))
    return torch.stack(out)


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('grid,side,window,shift', [
    ((4, 4), 4, 4, 2), ((3, 5), 4, 7, 3), ((2, 6), 2, 3, 0), ((5, 2), 1, 7, 0),
])  # fmt: skip
def test_equals_a_loop_over_windows(per_image, grid, side, window, shift):
    batch, heads, channels = 3, 2, 8
    visible = RandomMasking(0.6, 1, per_image)(grid, batch, seed=1)
    layout = token_layout(visible, side)
    qkv = torch.randn(batch, layout.row.shape[1], 3 * channels, dtype=torch.double)
    table = torch.randn((2 * window - 1) ** 2, heads, dtype=torch.double)
    weight = torch.randn(batch, layout.row.shape[1], channels, dtype=torch.double)
    results = []
    for run in ('group', 'naive'):
        x, t = qkv.clone().requires_grad_(), table.clone().requires_grad_()
        if run == 'group':
            plan = build_group_plan(layout, window, shift)
            bias = relative_position_bias(t, plan.relative_index)
            out = group_attention(x, plan, bias, scale=0.3)
        else:
            out = naive_group_attention(x, t, layout, window, shift, scale=0.3)
        (out * weight).sum().backward()
        results.append((out, x.grad, t.grad))
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow)


def test_bfloat16_within_its_precision():
    visible = RandomMasking(0.5, 1)((4, 4), 2, seed=0)
    layout = token_layout(visible, 4)
    plan = build_group_plan(layout, 4, 2)
    qkv = torch.randn(2, layout.row.shape[1], 24)
    bias = relative_position_bias(torch.randn(49, 2), plan.relative_index)
    exact = group_attention(qkv, plan, bias, 0.5)
    rough = group_attention(qkv.bfloat16(), plan, bias, 0.5)
    assert rough.dtype == torch.bfloat16
    # 8 bits of mantissa on values of order 1
    assert (exact - rough.float()).abs().max() < 0.05


def test_no_nan_where_a_group_is_mostly_padding():
    """One window alone in a group of its own, many pads elsewhere."""
    visible = RandomMasking(0.9, 1)((4, 8), 1, seed=0)
    plan = build_group_plan(token_layout(visible, 4), 7, 3)
    assert (plan.window_id == -1).any()
    bias = relative_position_bias(torch.randn(169, 2), plan.relative_index).requires_grad_()
    qkv = torch.randn(1, plan.num_tokens, 12, requires_grad=True)
    group_attention(qkv, plan, bias, 1.0).sum().backward()
    assert qkv.grad.isfinite().all() and bias.grad.isfinite().all()


def test_dropout_of_all_weights_leaves_nothing():
    layout = token_layout(RandomMasking(0.5, 1)((2, 4), 1, seed=0), 4)
    plan = build_group_plan(layout, 4)
    qkv = torch.randn(1, plan.num_tokens, 24)
    bias = relative_position_bias(torch.randn(49, 2), plan.relative_index)
    assert group_attention(qkv, plan, bias, 0.5, dropout=1.0).abs().max() == 0

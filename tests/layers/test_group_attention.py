import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from greenmim_mm.layers import attention_index, group_attention
from greenmim_mm.layers.group_attention import _attend_op as group_attention_op
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
    plan = build_group_plan(layout, window, shift)
    index = attention_index(plan, batch, layout.row.shape[1], heads)

    def run(attend):
        x, t = qkv.clone().requires_grad_(), table.clone().requires_grad_()
        out = attend(x, t)
        (out * weight).sum().backward()
        return out, x.grad, t.grad

    naive = run(lambda x, t: naive_group_attention(x, t, layout, window, shift, scale=0.3))
    fast = run(lambda x, t: group_attention(x, t, index, scale=0.3))
    with_dropout = run(lambda x, t: group_attention(x, t, index, scale=0.3, dropout=1e-12))
    operator = run(lambda x, t: group_attention_op(x, t, 0.3, *index)[0])
    for result in (fast, with_dropout, operator):
        for got, expected in zip(result, naive):
            torch.testing.assert_close(got, expected)


@given(
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    side=st.sampled_from([1, 2, 4]),
    window=st.integers(1, 8),
    ratio=st.floats(0, 0.95),
    per_image=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_any_mask_window_and_shift(grid, side, window, ratio, per_image, data):
    shift = data.draw(st.integers(0, window - 1))
    masks = 2 if per_image else 1
    count = max(1, int(grid[0] * grid[1] * (1 - ratio)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    order = torch.rand(masks, grid[0] * grid[1], generator=generator).argsort(1)
    layout = token_layout((order.argsort(1) < count).view(masks, *grid), side)
    length = layout.row.shape[1]
    index = attention_index(build_group_plan(layout, window, shift), 2, length, 2)
    qkv = torch.randn(2, length, 12, dtype=torch.double, generator=generator)
    table = torch.randn((2 * window - 1) ** 2, 2, dtype=torch.double, generator=generator)
    results = []
    for attend in (
        lambda x, t: group_attention(x, t, index, 0.5),
        lambda x, t: naive_group_attention(x, t, layout, window, shift, 0.5),
    ):
        x, t = qkv.clone().requires_grad_(), table.clone().requires_grad_()
        out = attend(x, t)
        results.append([out, *torch.autograd.grad((out * out.detach().cos()).sum(), (x, t))])
    for fast, naive in zip(*results):
        torch.testing.assert_close(fast, naive)


def test_without_positions_equals_a_table_of_zeros():
    layout = token_layout(RandomMasking(0.5, 1)((4, 4), 2, seed=0), 4)
    length = layout.row.shape[1]
    plan = build_group_plan(layout, 4, 2)
    qkv = torch.randn(2, length, 24)
    zeros = torch.zeros(49, 2)
    expected = group_attention(qkv, zeros, attention_index(plan, 2, length, 2), 0.5)
    index = attention_index(plan, 2, length, 2, relative_position=False)
    assert torch.equal(group_attention(qkv, None, index, 0.5), expected)


def example(batch=2, ratio=0.5, grid=(4, 4), side=4, window=4, shift=2, per_image=False):
    """``qkv``, table and index with two heads of four channels."""
    layout = token_layout(RandomMasking(ratio, 1, per_image)(grid, batch, seed=0), side)
    length = layout.row.shape[1]
    plan = build_group_plan(layout, window, shift)
    table = torch.randn((2 * window - 1) ** 2, 2)
    return torch.randn(batch, length, 24), table, attention_index(plan, batch, length, 2)


@pytest.mark.parametrize('per_image', [False, True])
def test_bfloat16_within_its_precision(per_image):
    """Logits, softmax and sums in float32: the error is that of rounding 8 bits of mantissa."""
    qkv, table, index = example(per_image=per_image)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        x, t = (v.clone().requires_grad_() for v in (qkv.to(dtype), table))
        out = group_attention(x, t, index, 0.5)
        out.square().sum().backward()
        assert out.dtype == x.grad.dtype == dtype and t.grad.dtype == torch.float32
        results.append([value.float() for value in (out, x.grad, t.grad)])
    for exact, rough in zip(*results):
        assert (exact - rough).norm() < 0.02 * exact.norm()


def test_operator_is_well_formed():
    """Shapes that torch.compile assumes, and gradients, are those of the operator itself."""
    qkv, table, index = example()
    arguments = (qkv.requires_grad_(), table.requires_grad_(), 0.5, *index)
    torch.library.opcheck(group_attention_op, arguments)


def test_no_nan_where_a_group_is_mostly_padding():
    """One window alone in a group of its own, many pads elsewhere."""
    qkv, table, index = example(1, 0.9, grid=(4, 8), side=2, window=7, shift=3)
    assert (index.relative == len(table) + 1).any()  # there are pads
    qkv.requires_grad_(), table.requires_grad_()
    group_attention(qkv, table, index, 1.0).sum().backward()
    assert qkv.grad.isfinite().all() and table.grad.isfinite().all()


class IndexAdds(TorchDispatchMode):
    """Notes how many entries every ``index_add`` adds."""

    def __init__(self):
        super().__init__()
        self.added = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten.index_add_, torch.ops.aten.index_add):
            self.added.append(args[2].numel())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('per_image', [False, True])
def test_gradient_of_the_table_is_summed_over_pairs_of_one_window(per_image):
    """Pairs of other windows, and pads, have none: they are not added."""
    layout = token_layout(RandomMasking(0.75, 1, per_image)((4, 8), 2, seed=0), 4)
    length = layout.row.shape[1]
    plan = build_group_plan(layout, 7, 3)
    index = attention_index(plan, 2, length, 2)
    table = torch.randn(169, 2, requires_grad=True)
    out = group_attention(torch.randn(2, length, 24, requires_grad=True), table, index, 0.5)
    with IndexAdds() as seen:
        out.sum().backward()
    ids = torch.from_numpy(window_ids(layout, 7, 3)).view(len(layout.row), length)
    number = sum((mask[:, None] == mask).sum().item() for mask in ids)
    assert seen.added == [number]
    assert number < index.relative.numel()


def test_without_a_table_nothing_is_summed():
    layout = token_layout(RandomMasking(0.5, 1)((4, 4), 2, seed=0), 4)
    length = layout.row.shape[1]
    index = attention_index(build_group_plan(layout, 4), 2, length, 2, relative_position=False)
    out = group_attention(torch.randn(2, length, 24, requires_grad=True), None, index, 0.5)
    with IndexAdds() as seen:
        out.sum().backward()
    assert not seen.added


def test_dropout_of_all_weights_leaves_nothing():
    assert group_attention(*example(), 0.5, dropout=1.0).abs().max() == 0

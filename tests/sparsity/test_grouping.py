from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from greenmim_mm.sparsity import (
    SLOT_MULTIPLE,
    RandomMasking,
    attention_cost,
    build_group_plan,
    choose_groups,
    token_layout,
    window_ids,
)

COUNTS = st.lists(st.integers(1, 49), min_size=1, max_size=40)


def naive_window(coord, window, shift, length):
    """Swin's way: roll by ``shift``, partition, and split the rolled-in border off."""
    rolled = (coord - shift) % length
    return rolled // window, coord < shift


MULTIPLES = st.sampled_from([1, 4, SLOT_MULTIPLE])


def rounded_up(number, multiple):
    return -(-number // multiple) * multiple


@given(COUNTS, MULTIPLES)
@settings(max_examples=150, deadline=None)
def test_windows_share_no_slot_and_no_group_is_above_its_size(counts, multiple):
    size, group, offset = choose_groups(counts, multiple=multiple)
    assert size % multiple == 0
    assert set(group) == set(range(max(group) + 1))
    slots = [g * size + o + k for g, o, n in zip(group, offset, counts) for k in range(n)]
    assert len(set(slots)) == sum(counts)
    assert all(o + n <= size for o, n in zip(offset, counts))


@given(COUNTS, MULTIPLES)
@settings(max_examples=150, deadline=None)
def test_cost_never_above_one_group_or_one_group_per_window(counts, multiple):
    size, group, _ = choose_groups(counts, multiple=multiple)
    cost = attention_cost(max(group) + 1, size)
    assert cost <= attention_cost(1, rounded_up(sum(counts), multiple))
    assert cost <= attention_cost(len(counts), rounded_up(max(counts), multiple))


def naive_choose(counts, multiple):
    """Every size, every subset: the algorithm of the paper without any shortcut."""
    best = None
    for size in range(rounded_up(max(counts), multiple), sum(counts) + multiple, multiple):
        left, groups = list(range(len(counts))), 0
        while left:
            subsets = (s for n in range(1, len(left) + 1) for s in combinations(left, n))
            fits = [s for s in subsets if sum(counts[w] for w in s) <= size]
            fullest = max(sum(counts[w] for w in s) for s in fits)
            # among equally full subsets take the one with the largest windows, as the packer
            chosen = max((s for s in fits if sum(counts[w] for w in s) == fullest),
                         key=lambda s: sorted((counts[w] for w in s), reverse=True))  # fmt: skip
            left = [w for w in left if w not in chosen]
            groups += 1
        cost = attention_cost(groups, size)
        best = cost if best is None else min(best, cost)
    return best


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.sampled_from([1, 4]))
@settings(max_examples=60, deadline=None)
def test_cost_equals_an_exhaustive_search(counts, multiple):
    size, group, _ = choose_groups(counts, multiple=multiple)
    assert attention_cost(max(group) + 1, size) == naive_choose(counts, multiple)


def test_fill_is_the_largest_that_fits():
    # 6 + 5 = 11 beats 7 + 3 = 10 for a size of 11
    def cost(number, size):
        return np.where(size == 11, number, 99 * number)

    size, group, _ = choose_groups([7, 6, 5, 3], cost, multiple=1)
    assert size == 11
    assert group.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize('counts', [[], [3, 0], [-1]])
def test_bad_counts(counts):
    with pytest.raises(ValueError, match='counts must be positive and not empty'):
        choose_groups(counts)


@pytest.mark.parametrize('window,shift', [(0, 0), (4, 4), (4, -1)])
def test_bad_window(window, shift):
    layout = token_layout(torch.ones(1, 2, 2, dtype=torch.bool), 1)
    with pytest.raises(ValueError, match=f'got {window}, {shift}'):
        window_ids(layout, window, shift)


@given(
    rows=st.integers(1, 5),
    cols=st.integers(1, 5),
    side=st.sampled_from([1, 2, 4, 8]),
    window=st.integers(1, 9),
    ratio=st.floats(0, 0.95),
    num_masks=st.sampled_from([1, 2]),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_plan_against_naive_windows(rows, cols, side, window, ratio, num_masks, data):
    """Any grid, ratio, window and shift: slots, windows and relative positions."""
    shift = data.draw(st.integers(0, window - 1))
    seed = data.draw(st.integers(0, 99))
    visible = random_visible(rows, cols, ratio, num_masks, seed)
    layout = token_layout(visible, side)
    plan = build_group_plan(layout, window, shift)

    row, col = layout.row.reshape(-1), layout.col.reshape(-1)
    image = np.repeat(np.arange(num_masks), layout.row.shape[1])
    # gather and scatter are inverse; pads are slots that nobody scatters from
    slots = plan.scatter_index
    assert torch.equal(plan.gather_index[slots], torch.arange(plan.num_tokens))
    is_pad = torch.ones(plan.num_groups * plan.group_size, dtype=torch.bool)
    is_pad[slots] = False
    assert torch.equal(plan.window_id.flatten() == -1, is_pad)

    padded = [-(-length // window) * window for length in layout.grid]
    naive = [
        (i, *naive_window(r, window, shift, padded[0]), *naive_window(c, window, shift, padded[1]))
        for i, r, c in zip(image, row, col)
    ]
    allowed = torch.zeros(plan.num_tokens, plan.num_tokens, dtype=torch.bool)
    other = (2 * window - 1) ** 2
    group = slots // plan.group_size
    index = plan.relative_index
    assert plan.group_size % SLOT_MULTIPLE == 0
    for q in range(0, plan.num_tokens, max(1, plan.num_tokens // 7)):
        for k in range(plan.num_tokens):
            same = naive[q] == naive[k]
            if group[q] != group[k]:
                assert not same
                continue
            entry = index[group[q], slots[q] % plan.group_size, slots[k] % plan.group_size]
            dr, dc = row[q] - row[k] + window - 1, col[q] - col[k] + window - 1
            assert entry == (dr * (2 * window - 1) + dc if same else other)
            allowed[q, k] = same
    pads = is_pad.view(plan.num_groups, -1)
    eye = torch.eye(plan.group_size, dtype=torch.bool)
    assert (index[pads] == torch.where(eye, other + 1, other).expand_as(index)[pads]).all()
    assert torch.equal(plan.pairs(), (index.flatten() < other).nonzero()[:, 0])


def random_visible(rows, cols, ratio, num_masks, seed):
    count = max(1, int(rows * cols * (1 - ratio)))
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(num_masks, rows * cols, generator=generator).argsort(1)
    return (order.argsort(1) < count).view(num_masks, rows, cols)


@pytest.mark.parametrize('window', [7, 4])
def test_relative_index_is_that_of_window_msa(window):
    from mmpretrain.models.utils import WindowMSA

    expected = WindowMSA(8, (window, window), 2).relative_position_index
    layout = token_layout(torch.ones(1, window, window, dtype=torch.bool), 1)
    plan = build_group_plan(layout, window)
    order = plan.gather_index[: window**2]  # one group; pads behind its tokens
    index = plan.relative_index[0, : window**2, : window**2]
    assert torch.equal(index, expected[order][:, order])


def test_plan_is_immutable():
    plan = build_group_plan(token_layout(RandomMasking(0.5, 1)((4, 4), 1, seed=0), 1), 2)
    with pytest.raises(AttributeError):
        plan.window = 3

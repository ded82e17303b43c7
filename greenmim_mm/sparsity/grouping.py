"""Windows -> groups of equal size (GreenMIM's optimal grouping).

Shapes: T tokens of one plan (L of a shared mask, B * L of per-image masks),
G groups, S slots per group (the group size), w window side in tokens.

Window attention on visible tokens sees windows of uneven counts. Padding every
window to the largest wastes most of the work; putting all tokens into one group
attends far too widely. Optimal grouping packs whole windows into groups of equal
size, and attention inside a group is masked to the windows::

    visible tokens per window         groups of S = 4 slots (. is a pad slot)

    a: 4  b: 2  c: 4  d: 1  e: 3      group 0 | a a a a |
                                      group 1 | c c c c |
                                      group 2 | e e e d |
                                      group 3 | b b . . |

    window_id, of shape G x S         row q may look at column k where
    [[a a a a], [c c c c],            window_id[q] == window_id[k];
     [e e e d], [b b -1 -1]]          a pad slot (-1) looks at itself alone

Consequence: linear layers never see a pad slot, they run on the T tokens before
the gather and after the scatter; a pad costs attention only.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from time import perf_counter
from typing import Callable, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from .tokens import TokenLayout

PAD = -1

# Group sizes are multiples of this: tensor cores and vector units want rows of 8, and the
# number of different shapes stays small.
SLOT_MULTIPLE = 8

# A pattern says how many windows of each count share a group: ((count, windows), ...).
Pattern = Tuple[Tuple[int, int], ...]


def attention_cost(num_groups: np.ndarray, group_size: np.ndarray) -> np.ndarray:
    """Time of attention in ``num_groups`` groups of ``group_size``, in key visits.

    A slot visits every slot of its group; gathering it and scattering its result
    takes as long as about 48 visits (head width 32). Groups below 16 slots are no
    cheaper than those of 16: a softmax over fewer than 16 numbers is not
    vectorised. Measured in ``docs/performance.md``.

    The paper counts ``n (4 g C^2 + 2 g^2 C)`` (arXiv 2205.13515, Sec. 3.2) for
    groups through which the linear layers run too. Here these run on unpadded
    tokens, so their term is the same for every grouping and is left out.
    """
    visits = np.maximum(group_size, 16)
    return num_groups * visits * (visits + 48)


def window_ids(layout: TokenLayout, window: int, shift: int) -> np.ndarray:
    """Number the window of every token; images of per-image masks get their own windows.

    A shifted stage is an offset of the window grid; there is no cyclic roll, so
    windows at the border are smaller, and they are the regions that Swin's
    attention mask separates after its roll.

    Args:
        layout (TokenLayout): Of N masks with L tokens each.
        window (int): Window side in tokens.
        shift (int): Offset of the grid in tokens, from 0 to ``window - 1``.

    Returns:
        np.ndarray: Window of each token, of shape T = N * L.

    Raises:
        ValueError: If ``window`` or ``shift`` is out of range.
    """
    if window < 1 or not 0 <= shift < window:
        raise ValueError(
            f'window must be at least 1 and shift in [0, window), got {window}, {shift}'
        )
    rows, cols = (side // window + 2 for side in layout.grid)
    mask = np.arange(len(layout.row))[:, None]
    row = (layout.row + window - shift) // window
    col = (layout.col + window - shift) // window
    return ((mask * rows + row) * cols + col).reshape(-1)


def _largest_fill(windows: Sequence[Tuple[int, int]], size: int) -> Pattern:
    """Subset of the windows with the largest total that is at most ``size``.

    0/1 knapsack with weight = value = count, as a subset sum on bit sets: bit t
    of ``reachable`` says that a total of t can be reached.

    Args:
        windows (Sequence[Tuple[int, int]]): ``(count, how many)``, largest count first.
        size (int): Upper limit of the total.
    """
    limit = (1 << (size + 1)) - 1
    reachable, before = 1, []
    for count, available in windows:
        before.append(reachable)
        step = 1
        while available and count * step <= size:  # binary splitting of the multiplicity
            step = min(step, available)
            reachable |= reachable << (count * step) & limit
            available -= step
            step *= 2
        if reachable >> size & 1:
            break
    total = reachable.bit_length() - 1
    chosen = []
    for (count, _), without in zip(reversed(windows[: len(before)]), reversed(before)):
        number = 0
        while not without >> total & 1:
            total -= count
            number += 1
        if number:
            chosen.append((count, number))
    return tuple(chosen)


def _pack(histogram: Sequence[Tuple[int, int]], size: int) -> List[Tuple[Pattern, int]]:
    """Fill groups one by one, each as full as the windows that are left allow.

    Windows of equal count are interchangeable, and a fill that is the fullest
    stays the fullest as long as its windows last: it is repeated at once.

    Returns:
        List[Tuple[Pattern, int]]: Patterns and how many groups have each.
    """
    left = dict(histogram)
    packed = []
    while left:
        pattern = _largest_fill(list(left.items()), size)
        repeats = min(left[count] // number for count, number in pattern)
        for count, number in pattern:
            left[count] -= number * repeats
            if not left[count]:
                del left[count]
        packed.append((pattern, repeats))
    return packed


@lru_cache(maxsize=4096)
def _best_packing(
    histogram: Tuple[Tuple[int, int], ...], cost: Callable, multiple: int
) -> Tuple[int, List[Tuple[Pattern, int]]]:
    """Group size with the lowest cost, and its packing.

    Sizes are tried in the order of their lower bound (every slot used), until
    the bound is no better than what was found: the rest cannot win.
    """
    total = sum(count * number for count, number in histogram)
    smallest, largest = (-(-count // multiple) for count in (histogram[0][0], total))
    sizes = np.arange(smallest, largest + 1) * multiple
    bounds = cost(-(-total // sizes), sizes)
    best_cost, best = np.inf, None
    for i in np.argsort(bounds, kind='stable'):
        if bounds[i] >= best_cost:
            break
        size = int(sizes[i])
        packed = _pack(histogram, size)
        found = cost(sum(repeats for _, repeats in packed), size)
        if found < best_cost:
            best_cost, best = found, (size, packed)
    return best


def choose_groups(
    counts: Sequence[int], cost: Callable = attention_cost, multiple: int = SLOT_MULTIPLE
) -> Tuple[int, np.ndarray, np.ndarray]:
    """Optimal grouping: pack whole windows into groups of the cheapest size.

    Source: GreenMIM (arXiv 2205.13515), Sec. 3.2 and Algorithm 1.

    Args:
        counts (Sequence[int]): Visible tokens of each window, all positive.
        cost (Callable): Cost of a number of groups of a size, increasing in
            the number. Defaults to :func:`attention_cost`.
        multiple (int): Group sizes are multiples of it. Defaults to
            ``SLOT_MULTIPLE``; 1 searches every size, as the paper does.

    Returns:
        Tuple[int, np.ndarray, np.ndarray]: The group size; the group of each
        window; the slot of the group at which the window starts.

    Raises:
        ValueError: If ``counts`` is empty or holds a number below 1.

    Example:
        >>> choose_groups([4, 2, 4, 1, 3], multiple=4)
        (4, array([0, 3, 1, 2, 2]), array([0, 0, 0, 3, 0]))
    """
    counts = np.asarray(counts)
    if counts.size == 0 or counts.min() < 1:
        raise ValueError(f'counts must be positive and not empty, got {counts.tolist()}')
    number = np.bincount(counts)
    values = np.flatnonzero(number)[::-1]
    histogram = tuple(zip(values.tolist(), number[values].tolist()))
    size, packed = _best_packing(histogram, cost, multiple)

    # windows of equal count lie next to each other and are taken one after the other
    windows = np.argsort(counts, kind='stable')
    taken = dict(enumerate((np.cumsum(number) - number).tolist()))
    group, offset = np.empty_like(windows), np.empty_like(windows)
    first = 0
    for pattern, repeats in packed:
        filled = 0
        for count, times in reversed(pattern):
            here = windows[taken[count] : taken[count] + repeats * times].reshape(repeats, times)
            group[here] = np.arange(first, first + repeats)[:, None]
            offset[here] = filled + count * np.arange(times)
            taken[count] += repeats * times
            filled += count * times
        first += repeats
    return size, group, offset


@dataclass(frozen=True)
class GroupPlan:
    """How the T tokens of a stage are arranged in G groups of S slots. Immutable.

    Attributes:
        gather_index (Tensor): Token in each slot, int64 of shape G * S. A pad
            slot repeats token 0; nothing of it is ever read back.
        scatter_index (Tensor): Slot of each token, int64 of shape T.
        window_id (Tensor): Window of each slot, -1 for a pad, of shape G x S.
        position (Tensor): ``row * (2w - 1) + col`` of each slot, of shape G x S:
            the difference of two is their relative position.
        window (int): Window side w in tokens.
    """

    gather_index: Tensor
    scatter_index: Tensor
    window_id: Tensor
    position: Tensor
    window: int

    @property
    def num_tokens(self) -> int:
        return len(self.scatter_index)

    @property
    def num_groups(self) -> int:
        return self.window_id.shape[0]

    @property
    def group_size(self) -> int:
        return self.window_id.shape[1]

    def to(self, device: torch.device) -> 'GroupPlan':
        """Copy to a device, without waiting for it."""
        tensors = ('gather_index', 'scatter_index', 'window_id', 'position')
        return replace(
            self, **{name: getattr(self, name).to(device, non_blocking=True) for name in tensors}
        )

    @cached_property
    def relative_index(self) -> Tensor:
        """Row of the relative position bias table for every pair of slots.

        Returns:
            Tensor: int64 of shape G x S x S (query, key). Rows 0 to
            ``(2w - 1)^2 - 1`` are those of ``WindowMSA``; the next one means
            "another window", the last one "a pad slot and itself".
        """
        rows = (2 * self.window - 1) ** 2
        centre = (self.window - 1) * 2 * self.window
        relative = self.position[:, :, None] - self.position[:, None, :] + centre
        same_window = self.window_id[:, :, None] == self.window_id[:, None, :]
        pad = (self.window_id == PAD)[:, :, None]
        itself = torch.eye(self.group_size, dtype=torch.bool, device=pad.device)
        index = relative.masked_fill(~same_window | pad, rows)
        return index.masked_fill(pad & itself, rows + 1)


# called with every new plan and the seconds it took; for monitoring only
PLAN_OBSERVERS: List[Callable[[GroupPlan, float], None]] = []


def build_group_plan(
    layout: TokenLayout, window: int, shift: int = 0, cost: Callable = attention_cost
) -> GroupPlan:
    """Plan the group attention of one stage.

    Args:
        layout (TokenLayout): Where the tokens of the stage sit.
        window (int): Window side in tokens.
        shift (int): Offset of the window grid in tokens. Defaults to 0.
        cost (Callable): See :func:`choose_groups`.

    Returns:
        GroupPlan: On the CPU. With per-image masks it covers the tokens of all
        images, image after image.
    """
    began = perf_counter()
    ids = window_ids(layout, window, shift)
    counts = np.bincount(ids)
    seen = np.flatnonzero(counts)
    size, group, offset = choose_groups(counts[seen], cost)
    num_slots = (int(group.max()) + 1) * size
    start = np.empty_like(counts)  # first slot of each window
    start[seen] = group * size + offset

    # tokens sorted by window; the k-th of a window goes k slots behind its first
    if len(counts) <= np.iinfo(np.uint16).max:
        order = np.argsort(ids.astype(np.uint16), kind='stable')  # radix sort
    else:
        order = np.argsort(ids, kind='stable')
    sorted_ids = ids[order]
    before = np.cumsum(counts) - counts
    slots = (start - before)[sorted_ids] + np.arange(len(order))

    gather = np.zeros(num_slots, dtype=np.int64)
    window_id = np.full(num_slots, PAD, dtype=np.int64)
    scatter = np.empty(len(order), dtype=np.int64)
    gather[slots], scatter[order], window_id[slots] = order, slots, sorted_ids
    position = (layout.row * (2 * window - 1) + layout.col).reshape(-1)[gather]
    plan = GroupPlan(
        gather_index=torch.from_numpy(gather),
        scatter_index=torch.from_numpy(scatter),
        window_id=torch.from_numpy(window_id.reshape(-1, size)),
        position=torch.from_numpy(position.reshape(-1, size)),
        window=window,
    )
    for observe in PLAN_OBSERVERS:
        observe(plan, perf_counter() - began)
    return plan

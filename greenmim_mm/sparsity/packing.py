"""Which windows share a group: the cost model and the packing. numpy only.

A window is known by its number of visible tokens alone. Windows of equal count are
interchangeable, so that packing works on a histogram of counts.
"""

from functools import lru_cache
from typing import Callable, List, Sequence, Tuple

import numpy as np

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

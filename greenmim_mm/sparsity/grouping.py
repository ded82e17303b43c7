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
from functools import cached_property
from time import perf_counter
from typing import Callable, List

import numpy as np
import torch
from torch import Tensor

from .packing import attention_cost, choose_groups
from .tokens import TokenLayout

PAD = -1


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
        window_start (Tensor): Slot of the group at which the window of each slot
            starts, of shape G x S.
        window_count (Tensor): Tokens in the window of each slot, 0 for a pad, of
            shape G x S.
        window (int): Window side w in tokens.
        num_pairs (int): Pairs of tokens that share a window, the sum of
            ``window_count``; known without asking the device.
    """

    gather_index: Tensor
    scatter_index: Tensor
    window_id: Tensor
    position: Tensor
    window_start: Tensor
    window_count: Tensor
    window: int
    num_pairs: int

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
        tensors = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        tensors.pop('relative_index', None)  # made again on the device
        return replace(self, **{k: v.to(device, non_blocking=True) for k, v in tensors.items()})

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

    def pairs(self) -> Tensor:
        """Flat index into G x S x S (query, key) of the pairs that share a window.

        Everything else (pairs across windows, pads) has a weight of 0, or is a
        pad slot with itself, and its gradient is 0.

        Returns:
            Tensor: int64 of shape ``num_pairs``, increasing.
        """
        count = self.window_count.flatten()
        # with its size given, nothing waits for the device
        query = torch.repeat_interleave(count, output_size=self.num_pairs)
        first = torch.arange(len(count), device=count.device) * self.group_size
        first = first + self.window_start.flatten() - count.cumsum(0) + count
        return first.index_select(0, query) + torch.arange(self.num_pairs, device=count.device)


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
    window_start = np.zeros(num_slots, dtype=np.int64)
    window_count = np.zeros(num_slots, dtype=np.int64)
    gather[slots], scatter[order], window_id[slots] = order, slots, sorted_ids
    window_start[slots], window_count[slots] = start[sorted_ids] % size, counts[sorted_ids]
    position = (layout.row * (2 * window - 1) + layout.col).reshape(-1)[gather]
    plan = GroupPlan(
        gather_index=torch.from_numpy(gather),
        scatter_index=torch.from_numpy(scatter),
        window_id=torch.from_numpy(window_id.reshape(-1, size)),
        position=torch.from_numpy(position.reshape(-1, size)),
        window_start=torch.from_numpy(window_start.reshape(-1, size)),
        window_count=torch.from_numpy(window_count.reshape(-1, size)),
        window=window,
        num_pairs=int((counts * counts).sum()),
    )
    for observe in PLAN_OBSERVERS:
        observe(plan, perf_counter() - began)
    return plan

"""The figures of docs/method.md, drawn from the code that they explain.

    python docs/figures/draw.py

Writes windows.png, groups.png, sparse_conv.png and token_order.png into this folder, or --out.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from greenmim_mm.layers import sparse_conv2d
from greenmim_mm.sparsity import (
    RandomMasking,
    TokenLayout,
    build_group_plan,
    scatter_to_grid,
    token_layout,
    window_ids,
)

HIDDEN, VISIBLE = (0.90, 0.90, 0.90), (0.55, 0.78, 0.93)
SHADES = np.array([  # of windows; neighbours in this order are easy to tell apart
    (0.12, 0.47, 0.71), (1.00, 0.73, 0.47), (0.17, 0.63, 0.17), (1.00, 0.60, 0.59),
    (0.58, 0.40, 0.74), (0.77, 0.69, 0.84), (0.55, 0.34, 0.29), (0.97, 0.71, 0.82),
    (0.74, 0.74, 0.13), (0.62, 0.85, 0.90), (0.84, 0.15, 0.16), (0.60, 0.87, 0.54),
    (0.09, 0.75, 0.81), (0.86, 0.86, 0.55), (0.89, 0.47, 0.76), (0.68, 0.78, 0.91),
])  # fmt: skip


def swin_stage_2():
    """28 x 28 tokens of a 224 px image, a quarter of them visible."""
    visible = RandomMasking(0.75)((224, 224), 1, seed=3)
    return visible, token_layout(visible, side=4)


def grid_picture(axes: Axes, layout: TokenLayout, colours, title: str) -> None:
    """The token grid: hidden places grey, visible ones in their colours."""
    height, width = layout.grid
    picture = np.full((height, width, 3), HIDDEN)
    picture[layout.row[0], layout.col[0]] = colours
    axes.imshow(picture, extent=(0, width, height, 0))
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def lines(axes: Axes, layout: TokenLayout, step: int, first: int = 0, **style) -> None:
    height, width = layout.grid
    for place in range(first, height + 1, step):
        axes.axhline(place, **style)
    for place in range(first, width + 1, step):
        axes.axvline(place, **style)


def windows(figure: Figure) -> None:
    """Mask units, then windows without and with shift, with their counts of visible tokens."""
    _, layout = swin_stage_2()
    panels = figure.subplots(1, 3)
    grid_picture(panels[0], layout, VISIBLE, 'mask units: 12 of 49 visible')
    lines(panels[0], layout, layout.side, color='white', linewidth=1)
    for axes, shift in zip(panels[1:], (0, 3)):
        name = f'windows of 7 x 7 tokens, shift {shift}'
        grid_picture(axes, layout, VISIBLE, name)
        lines(axes, layout, 7, shift, color='black', linewidth=0.8)
        ids = window_ids(layout, 7, shift)
        for window in np.unique(ids):
            inside = ids == window
            row = (layout.row[0][inside][0] - shift) // 7 * 7 + shift
            col = (layout.col[0][inside][0] - shift) // 7 * 7 + shift
            centre = [
                (max(start, 0) + min(start + 7, side)) / 2
                for start, side in zip((col, row), layout.grid[::-1])
            ]
            axes.text(*centre, inside.sum(), ha='center', va='center', fontsize=8, weight='bold')


def groups(figure: Figure) -> None:
    """The windows' counts, the groups that they are packed into, and the mask of one group."""
    _, layout = swin_stage_2()
    plan = build_group_plan(layout, window=7, shift=0)
    slots = plan.window_id.numpy()
    ids, counts = np.unique(window_ids(layout, 7, 0), return_counts=True)
    shades = SHADES[np.arange(len(ids)) % len(SHADES)]

    bars, packed, mask = figure.subplots(1, 3, width_ratios=[1, 1.5, 1.1])
    bars.bar(range(len(ids)), counts, color=shades)
    for place, count in enumerate(counts):
        bars.text(place, count + 0.2, count, ha='center', fontsize=7)
    bars.set(xticks=[], xlabel='window')
    bars.set_title('visible tokens per window', fontsize=9)
    bars.spines[['top', 'right']].set_visible(False)

    picture = np.ones((*slots.shape, 3))
    numbers = np.unique(slots[slots >= 0])
    for number, shade in zip(numbers, shades):
        picture[slots == number] = shade
    packed.imshow(picture, aspect='auto')
    for row in range(len(slots) - 1):
        packed.axhline(row + 0.5, color='white', linewidth=3)
    packed.set(xlabel=f'slot (of {plan.group_size})', ylabel='group', yticks=range(len(slots)))
    padding = (slots < 0).mean()
    packed.set_title(
        f'whole windows in {len(slots)} groups; white: padding, {padding:.0%}', fontsize=9
    )

    first = slots[0]
    allowed = (first[:, None] == first[None]) & (first[:, None] >= 0)
    allowed |= np.eye(len(first), dtype=bool)
    picture = np.full((len(first), len(first), 3), 0.95)
    rows, cols = allowed.nonzero()
    picture[rows, cols] = [
        shades[np.searchsorted(numbers, first[row])] if first[row] >= 0 else (0.5, 0.5, 0.5)
        for row in rows
    ]
    mask.imshow(picture)
    mask.set(xlabel='key', ylabel='query')
    mask.set_title('group 0: who attends to whom', fontsize=9)


def sparse_convolution(figure: Figure) -> None:
    """Where a 3 x 3 convolution of masked input gives something, dense and sparse."""
    visible = RandomMasking(0.75, unit=4)((16, 16), 1, seed=1)
    layout = token_layout(visible, side=4)
    conv = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    torch.nn.init.ones_(conv.weight)
    tokens = torch.ones(1, layout.row.size, 1)
    with torch.no_grad():
        full = scatter_to_grid(tokens, layout)[..., 0]
        dense = F.conv2d(full[:, None], conv.weight, padding=1)[0, 0]
        sparse = scatter_to_grid(sparse_conv2d(tokens, conv, layout), layout)[0, ..., 0]
    titles = (
        'input: hidden places count as zero',
        'dense: values run into what is hidden',
        'sparse: the same values, where visible',
    )
    for axes, values, title in zip(figure.subplots(1, 3), (full[0], dense, sparse), titles):
        height, width = layout.grid
        strength = (values / values.max()).numpy()[..., None]
        picture = np.where(
            strength > 0, 1 - strength * (1 - np.array(VISIBLE) * 0.6), np.array(HIDDEN)
        )
        axes.imshow(picture, extent=(0, width, height, 0))
        lines(axes, layout, 1, color='white', linewidth=0.4)
        lines(axes, layout, layout.side, color='black', linewidth=0.8)
        for row, col in zip(*values.numpy().nonzero()):
            number = int(values[row, col])
            axes.text(col + 0.5, row + 0.55, number, ha='center', va='center', fontsize=5)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])


def token_order(figure: Figure) -> None:
    """Numbers of the tokens in three stages; colours: what merges into one token."""
    visible = torch.tensor([[[1, 0, 1], [0, 1, 0]]], dtype=torch.bool)
    for axes, side in zip(figure.subplots(1, 3), (4, 2, 1)):
        layout = token_layout(visible, side)
        merged = np.arange(layout.row.size) // 4 if side > 1 else np.arange(layout.row.size)
        title = f'{side} x {side} tokens per unit, {layout.row.size} visible'
        grid_picture(axes, layout, SHADES[merged % len(SHADES)] * 0.5 + 0.5, title)
        lines(axes, layout, 1, color='white', linewidth=0.5)
        lines(axes, layout, side, color='black', linewidth=1)
        places = zip(layout.row[0], layout.col[0])
        for number, (row, col) in enumerate(places):
            axes.text(col + 0.5, row + 0.5, number, ha='center', va='center', fontsize=8)


FIGURES = {
    'windows': (windows, 9, 3.2),
    'groups': (groups, 10, 3.3),
    'sparse_conv': (sparse_convolution, 9, 3.2),
    'token_order': (token_order, 9, 2.3),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path(__file__).parent)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, (draw, width, height) in FIGURES.items():
        figure = Figure(figsize=(width, height), dpi=110, layout='constrained')
        draw(figure)
        figure.savefig(out / f'{name}.png', bbox_inches='tight', pad_inches=0.08)
        print(out / f'{name}.png')


if __name__ == '__main__':
    main()

"""Figures of the report, one function each; every one writes a PNG."""

from typing import Dict, List, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ..apis import Reconstruction
from ..sparsity import attention_cost, build_group_plan, token_layout

# the Okabe-Ito palette: distinguishable with colour-deficient sight
PALETTE = ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#F0E442', '#666666']


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=110, layout='constrained')


def _hide_ticks(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])


def plot_losses(runs: Dict[str, List[Dict]], path: str, key: str = 'loss') -> None:
    """Loss over iterations of one or more runs.

    Args:
        runs (Dict[str, List[Dict]]): Scalars (:func:`read_scalars`) by name of the run.
        path (str): PNG to write.
        key (str): Scalar to draw. Defaults to 'loss'.
    """
    figure = _figure(6, 3.2)
    axes = figure.subplots()
    for (name, scalars), colour in zip(runs.items(), PALETTE):
        points = [(line['step'], line[key]) for line in scalars if line.get(key) is not None]
        axes.plot(*zip(*points), label=name, color=colour)
    axes.set(xlabel='iteration', ylabel=key)
    axes.grid(alpha=0.3)
    if len(runs) > 1:
        axes.legend(frameon=False)
    figure.savefig(path)


def plot_reconstructions(results: Sequence[Reconstruction], path: str) -> None:
    """Rows of image, visible part, prediction, and prediction with the visible part pasted in.

    Args:
        results (Sequence[Reconstruction]): Of :class:`~greenmim_mm.apis.GreenMIMInferencer`.
        path (str): PNG to write.
    """
    names = ('original', 'visible_part', 'prediction', 'pasted')
    figure = _figure(1.25 * len(results) + 0.4, 1.25 * len(names))
    for row, name in zip(figure.subplots(len(names), len(results), squeeze=False), names):
        for axes, result in zip(row, results):
            axes.imshow(getattr(result, name))
            _hide_ticks(axes)
        row[0].set_ylabel(name.replace('_', ' '))
    figure.savefig(path)


def plot_groups(visible: Tensor, side: int, window: int, shift: int, path: str) -> str:
    """How the windows of one mask were grouped.

    Left: the token grid with the windows; visible tokens coloured by group.
    Right: the groups, a row each, slots coloured by window, pad slots white.

    Args:
        visible (Tensor): Bool of shape 1 x Mh x Mw.
        side (int): Tokens per mask unit and axis.
        window (int): Window side in tokens.
        shift (int): Offset of the window grid in tokens.
        path (str): PNG to write.

    Returns:
        str: A sentence with the figures.
    """
    layout = token_layout(visible, side)
    plan = build_group_plan(layout, window, shift)
    window_id = plan.window_id.numpy()
    group = (plan.scatter_index // plan.group_size).numpy()
    height, width = layout.grid

    figure = _figure(9, 4)
    grid_axes, slot_axes = figure.subplots(1, 2, width_ratios=[1, 1.2])

    colours = matplotlib.colormaps['tab20'](group % 20)[:, :3]
    picture = np.full((height, width, 3), 0.93)
    picture[layout.row[0], layout.col[0]] = colours
    grid_axes.imshow(picture, extent=(0, width, height, 0))
    for line in range(shift, height, window):
        grid_axes.axhline(line, color='black', linewidth=0.6)
    for line in range(shift, width, window):
        grid_axes.axvline(line, color='black', linewidth=0.6)
    grid_axes.set_title('tokens by group, lines: windows', fontsize=9)
    _hide_ticks(grid_axes)

    ids, index = np.unique(window_id, return_inverse=True)
    shades = matplotlib.colormaps['tab20'](np.arange(len(ids)) * 7 % 20)
    shades[ids == -1] = (1, 1, 1, 1)
    slot_axes.imshow(shades[index.reshape(window_id.shape)], aspect='auto', interpolation='nearest')
    slot_axes.set(xlabel='slot', ylabel='group')
    slot_axes.set_title('slots by window, white: padding', fontsize=9)
    figure.savefig(path)

    counts = np.bincount(index.reshape(-1))[ids != -1]
    cost = attention_cost(plan.num_groups, plan.group_size)
    one_group = attention_cost(1, plan.num_tokens)
    padded = attention_cost(len(counts), counts.max())
    return (
        f'{plan.num_tokens} visible tokens in {len(counts)} windows of {counts.min()} to '
        f'{counts.max()} tokens, packed into {plan.num_groups} groups of {plan.group_size} slots '
        f'({(window_id == -1).mean():.1%} padding). Attention costs {cost / one_group:.0%} of one '
        f'group for all and {cost / padded:.0%} of padding every window to the largest.'
    )


Objects = List[Tuple[int, np.ndarray, float]]


def plot_detections(
    images: Sequence[np.ndarray],
    columns: Dict[str, Sequence[Objects]],
    classes: Sequence[str],
    path: str,
) -> None:
    """Images with objects: a row per entry of ``columns``, for example ground truth first.

    Args:
        images (Sequence[np.ndarray]): RGB in 0..255, each H x W x 3.
        columns (Dict[str, Sequence[Objects]]): By title, per image a list of
            (category, bool mask of shape H x W, score).
        classes (Sequence[str]): Names of the categories.
        path (str): PNG to write.
    """
    figure = _figure(1.7 * len(images) + 0.4, 1.8 * len(columns))
    grid = figure.subplots(len(columns), len(images), squeeze=False)
    for row, (title, per_image) in zip(grid, columns.items()):
        for axes, image, objects in zip(row, images, per_image):
            axes.imshow(image)
            for category, mask, score in objects:
                colour = PALETTE[category % len(PALETTE)]
                axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.4)
                rows, cols = np.nonzero(mask)
                if len(rows):
                    label = classes[category] + (f' {score:.2f}' if score < 1 else '')
                    axes.text(
                        cols.min(), rows.min(), label, fontsize=5, color='white',
                        backgroundcolor=colour, va='bottom',
                        bbox=dict(facecolor=colour, pad=0.8, linewidth=0),
                    )  # fmt: skip
            _hide_ticks(axes)
        row[0].set_ylabel(title)
    figure.savefig(path)

"""What grouping costs and saves: padding, attention work and planning time.

    python tools/analysis_tools/benchmark_grouping.py
    python tools/analysis_tools/benchmark_grouping.py --img-sizes 224 1024 --windows 14 --arch large

For every image size, window and mask ratio, the window attention of a whole Swin encoder (all
stages, shifted and not, each as often as it has blocks), averaged over random masks shared by
the batch:

  optimal      this package: group sizes in multiples of 8, priced by ``attention_cost``
  every size   the search over every group size by the paper's attention term, 2 n g^2 C
  released     the released code's rule: one group size, the largest window
  one group    every visible token of the image in one group
  pad to max   a group per window, padded to the largest
  no padding   every window by itself without a pad: the bound

Columns: multiply-adds of attention alone (Q K^T and the weighted sum) per image, share of pad
slots, modelled time (``attention_cost`` times heads, relative to optimal), planning time per
step (mask, groups and index of all stages). Prints Markdown; ``--out`` adds JSON and a chart.
"""

import argparse
import json
import statistics
import sys
import time
from itertools import product
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

import numpy as np

from greenmim_mm.engine.errors import run_or_explain
from greenmim_mm.sparsity import (
    SLOT_MULTIPLE,
    RandomMasking,
    TokenLayout,
    attention_cost,
    build_group_plan,
    choose_groups,
    token_layout,
    window_ids,
)

ARCHS = {  # channels of the first stage, depths; heads have 32 channels
    'tiny': (96, (2, 2, 6, 2)),
    'small': (96, (2, 2, 18, 2)),
    'base': (128, (2, 2, 18, 2)),
    'large': (192, (2, 2, 18, 2)),
}
Groups = Tuple[int, int]  # number of groups, group size


def number_and_size(counts: np.ndarray, cost: Callable, multiple: int) -> Groups:
    size, group, _ = choose_groups(counts, cost, multiple)
    return int(group.max()) + 1, size


def paper_cost(number: np.ndarray, size: np.ndarray) -> np.ndarray:
    return 2 * number * size**2


def released(counts: np.ndarray) -> Groups:
    largest = int(counts.max())
    return number_and_size(counts, lambda n, g: np.where(g == largest, n, np.inf), 1)


STRATEGIES: Dict[str, Callable[[np.ndarray], Groups]] = {
    'optimal': lambda counts: number_and_size(counts, attention_cost, SLOT_MULTIPLE),
    'every size': lambda counts: number_and_size(counts, paper_cost, 1),
    'released': released,
    'one group': lambda counts: (1, int(counts.sum())),
    'pad to max': lambda counts: (len(counts), int(counts.max())),
}


def stages(
    visible, arch: str, window: int
) -> Iterator[Tuple[TokenLayout, List[Tuple[int, int]], int]]:
    """Layout, (shift, blocks) and channels of each stage."""
    channels, depths = ARCHS[arch]
    for i, depth in enumerate(depths):
        layout = token_layout(visible, 8 // 2**i)
        one_window = min(layout.grid) <= window
        shifts = [(0, depth)] if one_window else [(0, depth // 2), (window // 2, depth // 2)]
        yield layout, shifts, channels * 2**i


def measure(size: int, window: int, ratio: float, args: argparse.Namespace) -> List[Dict]:
    masking = RandomMasking(ratio, 32)
    names = [*STRATEGIES, 'no padding']
    macs, cost, slots, tokens = (dict.fromkeys(names, 0.0) for _ in range(4))
    planning = []
    for iteration in range(args.masks):
        start = time.perf_counter()
        visible = masking((size, size), 1, seed=0, iteration=iteration)
        for layout, shifts, _ in stages(visible, args.arch, window):
            for shift, _ in shifts:
                build_group_plan(layout, window, shift)
        planning.append(time.perf_counter() - start)
        for layout, shifts, channels in stages(visible, args.arch, window):
            for shift, blocks in shifts:
                counts = np.bincount(window_ids(layout, window, shift))
                counts = counts[counts > 0]
                for name, strategy in STRATEGIES.items():
                    number, group_size = strategy(counts)
                    macs[name] += 2 * blocks * number * group_size**2 * channels
                    cost[name] += blocks * attention_cost(number, group_size) * channels / 32
                    slots[name] += number * group_size
                    tokens[name] += counts.sum()
                macs['no padding'] += 2 * blocks * (counts**2).sum() * channels
    return [
        dict(
            img_size=size,
            window=window,
            mask_ratio=ratio,
            strategy=name,
            gmacs=macs[name] / args.masks / 1e9,
            padding=1 - tokens[name] / slots[name] if slots[name] else 0.0,
            relative_time=cost[name] / cost['optimal'] if cost[name] else None,
            planning_ms=statistics.median(planning) * 1e3 if name == 'optimal' else None,
        )
        for name in names
    ]


def as_table(rows: List[Dict]) -> str:
    lines = [
        '| px | window | mask ratio | grouping | attention GMACs/image | padding | modelled time '
        '| planning, ms |',
        '|' + ' --- |' * 8,
    ]
    for row in rows:
        relative = '-' if row['relative_time'] is None else f'{row["relative_time"]:.2f}'
        planning = '' if row['planning_ms'] is None else f'{row["planning_ms"]:.2f}'
        lines.append(
            f'| {row["img_size"]} | {row["window"]} | {row["mask_ratio"]} | {row["strategy"]} '
            f'| {row["gmacs"]:.4f} | {row["padding"]:.1%} | {relative} | {planning} |'
        )
    return '\n'.join(lines)


def plot(rows: List[Dict], path: Path) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    cases = list(dict.fromkeys((r['img_size'], r['window'], r['mask_ratio']) for r in rows))
    names = list(dict.fromkeys(row['strategy'] for row in rows))
    figure, axis = pyplot.subplots(figsize=(2 + 1.6 * len(cases), 3.6))
    for i, name in enumerate(names):
        values = [row['gmacs'] for row in rows if row['strategy'] == name]
        axis.bar(np.arange(len(cases)) + (i - len(names) / 2) * 0.13, values, 0.13, label=name)
    axis.set_xticks(range(len(cases)), [f'{s} px, w {w}\n{r:.0%} hidden' for s, w, r in cases])
    axis.set_yscale('log')
    axis.set_ylabel('attention GMACs/image')
    axis.legend(fontsize=8, frameon=False)
    axis.spines[['top', 'right']].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--img-sizes', type=int, nargs='+', default=[224, 512, 1024])
    parser.add_argument('--windows', type=int, nargs='+', default=[7])
    parser.add_argument('--mask-ratios', type=float, nargs='+', default=[0.75])
    parser.add_argument('--arch', default='base', choices=list(ARCHS))
    parser.add_argument('--masks', type=int, default=10, help='random masks per case')
    parser.add_argument('--out', type=Path, help='folder for grouping.json and grouping.png')
    args = parser.parse_args()
    cases = product(args.img_sizes, args.windows, args.mask_ratios)
    rows = [row for case in cases for row in measure(*case, args)]
    print(as_table(rows))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / 'grouping.json').write_text(json.dumps(rows, indent=1))
        plot(rows, args.out / 'grouping.png')
        print(f'\nwritten: {args.out}/grouping.json, grouping.png')


if __name__ == '__main__':
    run_or_explain(main)

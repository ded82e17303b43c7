"""Tables and figures of the same run from several starts, over several seeds."""

import math
import statistics
from typing import Dict, List, Optional, Sequence

from .figures import PALETTE, _figure
from .runs import read_scalars

_MAIN = ('coco/bbox_mAP', 'coco/segm_mAP', 'accuracy/top1', 'mIoU')
_UNDEFINED = '-'
_NOT_METRICS = ('step', 'time', 'data_time')

Metrics = Dict[str, Optional[float]]  # None: undefined
Results = Dict[str, List[Metrics]]  # name of the start: metrics per seed


def last_evaluation(work_dir: str) -> Metrics:
    """Metrics of a run's last evaluation, all on the scale 0 to 100; None where undefined.

    Raises:
        ValueError: If the run was never evaluated.
    """
    for line in reversed(read_scalars(work_dir)):
        if 'loss' not in line and 'lr' not in line:
            return {
                key: 100 * value if key.startswith('coco/') and value is not None else value
                for key, value in line.items()
                if key not in _NOT_METRICS and isinstance(value, (int, float, type(None)))
            }
    raise ValueError(f'{work_dir} holds no evaluation')


def _chosen(results: Results, metrics: Optional[Sequence[str]]) -> List[str]:
    known = list(next(iter(results.values()))[0])
    missing = [key for key in metrics or () if key not in known]
    if missing:
        raise ValueError(f'no metric {missing[0]}; the runs have {", ".join(known)}')
    return list(metrics or [key for key in _MAIN if key in known] or known)


def _spread(values: Sequence[Optional[float]], signed: bool = False) -> str:
    """Mean and standard deviation between seeds; one seed has no deviation, none has no mean."""
    known = [value for value in values if value is not None]
    if not known:
        return _UNDEFINED
    text = f'{statistics.mean(known):{"+" if signed else ""}.2f}'
    if len(known) > 1:
        text += f' ± {statistics.stdev(known):.2f}'
    return text if len(known) == len(values) else f'{text} ({len(known)} of {len(values)} seeds)'


def study_table(results: Results, metrics: Optional[Sequence[str]] = None) -> str:
    """Markdown table: a row per start, then the difference of each to the last one, seed by seed.

    Args:
        results (Dict[str, List[Dict]]): Metrics (:func:`last_evaluation`) per seed, by start.
        metrics (Sequence[str], optional): Defaults to None, box and mask AP, top-1 and mIoU.
    """
    keys = _chosen(results, metrics)
    number = len(next(iter(results.values())))
    lines = [['start', 'seeds', *keys], ['---'] * (len(keys) + 2)]
    for name, runs in results.items():
        lines.append([name, str(number), *(_spread([run[key] for run in runs]) for key in keys)])
    *others, base = results
    for name in others:
        cells = []
        for key in keys:
            pairs = zip(results[name], results[base])
            differences = [
                None if a[key] is None or b[key] is None else a[key] - b[key] for a, b in pairs
            ]
            known = [difference for difference in differences if difference is not None]
            better = f'; above in {sum(d > 0 for d in known)} of {len(known)}' if known else ''
            cells.append(_spread(differences, True) + better)
        lines.append([f'{name} minus {base}, per seed', str(number), *cells])
    table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    if number == 1:
        note = '0 to 100. One seed shows no spread: a difference may be chance. Use several.'
    else:
        note = 'Mean ± standard deviation over seeds, 0 to 100.'
    if any(run[key] is None for runs in results.values() for run in runs for key in keys):
        note += f' {_UNDEFINED}: undefined, the validation set has no object for it.'
    return f'{table}\n\n{note}'


def plot_study(results: Results, path: str, metrics: Optional[Sequence[str]] = None) -> None:
    """A panel per metric: a dot per seed, lines between dots of a seed, a bar at the mean."""
    keys = _chosen(results, metrics)
    figure = _figure(0.8 + 2.6 * len(keys), 3.2)
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys):
        values = [  # matplotlib leaves NaN out
            [math.nan if run[key] is None else run[key] for run in runs]
            for runs in results.values()
        ]
        axes.plot(range(len(results)), values, color='#bbbbbb', linewidth=0.8, zorder=1)
        for i, (points, colour) in enumerate(zip(values, PALETTE)):
            axes.scatter([i] * len(points), points, color=colour, zorder=2)
            known = [point for point in points if not math.isnan(point)]
            if not known:
                axes.text(i, 0.5, 'undefined', transform=axes.get_xaxis_transform(), ha='center')
                continue
            mean = statistics.mean(known)
            axes.hlines(mean, i - 0.25, i + 0.25, color=colour)
            axes.annotate(f'{mean:.1f}', (i + 0.28, mean), va='center', fontsize=8)
        axes.set_xticks(range(len(results)), results)
        axes.set(title=key, xlim=(-0.6, len(results) - 0.2))
        axes.grid(axis='y', alpha=0.3)
    figure.savefig(path)

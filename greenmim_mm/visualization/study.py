"""Tables and figures of the same run from several starts, over several seeds."""

import statistics
from typing import Dict, List, Optional, Sequence

from .figures import PALETTE, _figure
from .runs import read_scalars

_MAIN = ('coco/bbox_mAP', 'coco/segm_mAP', 'accuracy/top1', 'mIoU')
_NOT_METRICS = ('step', 'time', 'data_time')

Results = Dict[str, List[Dict[str, float]]]  # name of the start: metrics per seed


def last_evaluation(work_dir: str) -> Dict[str, float]:
    """Metrics of a run's last evaluation, all on the scale 0 to 100.

    Raises:
        ValueError: If the run was never evaluated.
    """
    for line in reversed(read_scalars(work_dir)):
        if 'loss' not in line and 'lr' not in line:
            return {
                key: 100 * value if key.startswith('coco/') else value
                for key, value in line.items()
                if key not in _NOT_METRICS and isinstance(value, (int, float))
            }
    raise ValueError(f'{work_dir} holds no evaluation')


def _chosen(results: Results, metrics: Optional[Sequence[str]]) -> List[str]:
    known = list(next(iter(results.values()))[0])
    missing = [key for key in metrics or () if key not in known]
    if missing:
        raise ValueError(f'no metric {missing[0]}; the runs have {", ".join(known)}')
    return list(metrics or [key for key in _MAIN if key in known] or known)


def _spread(values: Sequence[float], signed: bool = False) -> str:
    """Mean and standard deviation between seeds; one seed has no deviation."""
    mean = f'{statistics.mean(values):{"+" if signed else ""}.2f}'
    return f'{mean} ± {statistics.stdev(values):.2f}' if len(values) > 1 else mean


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
            differences = [a[key] - b[key] for a, b in zip(results[name], results[base])]
            better = sum(difference > 0 for difference in differences)
            cells.append(f'{_spread(differences, True)}; above in {better} of {number}')
        lines.append([f'{name} minus {base}, per seed', str(number), *cells])
    table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    if number == 1:
        note = '0 to 100. One seed shows no spread: a difference may be chance. Use several.'
    else:
        note = 'Mean ± standard deviation over seeds, 0 to 100.'
    return f'{table}\n\n{note}'


def plot_study(results: Results, path: str, metrics: Optional[Sequence[str]] = None) -> None:
    """A panel per metric: a dot per seed, lines between dots of a seed, a bar at the mean."""
    keys = _chosen(results, metrics)
    figure = _figure(0.8 + 2.6 * len(keys), 3.2)
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys):
        values = [[run[key] for run in runs] for runs in results.values()]
        axes.plot(range(len(results)), values, color='#bbbbbb', linewidth=0.8, zorder=1)
        for i, (points, colour) in enumerate(zip(values, PALETTE)):
            axes.scatter([i] * len(points), points, color=colour, zorder=2)
            mean = statistics.mean(points)
            axes.hlines(mean, i - 0.25, i + 0.25, color=colour)
            axes.annotate(f'{mean:.1f}', (i + 0.28, mean), va='center', fontsize=8)
        axes.set_xticks(range(len(results)), results)
        axes.set(title=key, xlim=(-0.6, len(results) - 0.2))
        axes.grid(axis='y', alpha=0.3)
    figure.savefig(path)

"""The learning rate of a recipe belongs to the recipe's batch."""

from typing import List, Tuple

from mmengine.config import Config

from ..processes import number_of_processes
from .finding import Finding


def _rates_and_counts(optim_wrapper: dict) -> Tuple[List[float], int]:
    """Learning rates, and batches whose gradients are summed before a step."""
    wrappers = [optim_wrapper]
    if 'optimizer' not in optim_wrapper:  # one wrapper per optimizer, under any name
        wrappers = [w for w in optim_wrapper.values() if isinstance(w, dict) and 'optimizer' in w]
    rates = [wrapper['optimizer']['lr'] for wrapper in wrappers if 'lr' in wrapper['optimizer']]
    return rates, max([wrapper.get('accumulative_counts', 1) for wrapper in wrappers], default=1)


def check_learning_rate(cfg: Config) -> List[Finding]:
    """Compare the batch of a run with the batch that its learning rate belongs to.

    The batch of a run is processes x ``train_dataloader.batch_size`` x
    ``optim_wrapper.accumulative_counts``. Linear scaling, as mmengine's ``auto_scale_lr`` has it
    (`Accurate, Large Minibatch SGD <https://arxiv.org/abs/1706.02677>`_, Sec. 2.1).

    Args:
        cfg (Config): The complete config, with its ``launcher``.

    Returns:
        List[Finding]: One warning if the batches differ and nothing scales the rate. Nothing for
        a config without ``auto_scale_lr.base_batch_size``.
    """
    scaling = cfg.get('auto_scale_lr') or {}
    base, loader = scaling.get('base_batch_size'), cfg.get('train_dataloader') or {}
    if not base or scaling.get('enable') or not loader.get('batch_size'):
        return []
    rates, counts = _rates_and_counts(cfg.get('optim_wrapper') or {})
    processes = number_of_processes(cfg.get('launcher', 'none'))
    batch = processes * loader['batch_size'] * counts
    if batch == base or not rates:
        return []
    ours, scaled = (', '.join(f'{rate * by:.3g}' for rate in rates) for by in (1, batch / base))
    factors = f'{processes} process{"es" * (processes > 1)} x {loader["batch_size"]}'
    factors += f' x {counts} accumulated' * (counts > 1)
    message = (
        f'this run trains with a batch of {batch:,} ({factors}) at the learning rate {ours}, which '
        f'belongs to a batch of {base:,} (auto_scale_lr.base_batch_size). --auto-scale-lr sets '
        f'it to {scaled}.'
    )
    return [Finding('warning', message)]

"""A schedule of the learning rate that is shorter or longer than the run."""

from typing import List

from mmengine.config import Config

from .finding import Finding


def check_schedule(cfg: Config) -> List[Finding]:
    """Compare the end of the schedule with that of the run.

    Both stand in the config by themselves: whoever changes ``train_cfg.max_epochs`` alone trains
    its last epochs at a rate of zero, or never reaches the small rates.

    Returns:
        List[Finding]: At most one warning, with the option that mends it.
    """
    train_cfg, schedulers = cfg.get('train_cfg') or {}, cfg.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers] if 'type' in schedulers else []
    unit = 'epoch' if 'max_epochs' in train_cfg else 'iter'
    length = train_cfg.get(f'max_{unit}s')
    ends = [
        (scheduler.get('end', length), number)  # without an end it goes on
        for number, scheduler in enumerate(schedulers)
        if isinstance(scheduler, dict) and scheduler.get('by_epoch', True) == (unit == 'epoch')
    ]
    if not ends or length is None:
        return []
    end, number = max(ends)
    if end == length:
        return []
    then = (
        f'from there on the rate stays as it is (the last {unit}s: {length - end})'
        if end < length
        else 'the run ends before the rates that the schedule ends with'
    )
    return [
        Finding(
            'warning',
            f'train_cfg.max_{unit}s is {length}, but the schedule of the learning rate ends at '
            f'{unit} {end} (param_scheduler.{number}.end): {then}. To let it end with the run: '
            f'--cfg-options param_scheduler.{number}.end={length}',
        )
    ]

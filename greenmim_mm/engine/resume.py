"""Going on from a checkpoint: the same model, the schedule of the config, the place reached."""

from types import SimpleNamespace
from typing import Any, Callable, List, Optional

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..models.utils import compare_shapes
from .checks import CheckError, say
from .run_settings import (
    changed_config,
    changed_groups,
    changed_settings,
    hyperparameters,
    images_per_step,
    is_named,
    parameter_groups,
)

# of a scheduler's state: where it stands, not what it is
_PROGRESS = {'last_step', '_global_step', '_last_value', 'verbose'}
_SHOWN = 8  # changes in a message


def check_resumable(runner: Runner, checkpoint: dict, filename: str) -> None:
    """A run goes on only with the model and the optimizer that it had.

    Nothing is resized here: the moments of the optimizer belong to the old shapes.

    Raises:
        CheckError: With what differs.
    """
    model = runner.bare_model
    differences = compare_shapes(
        {key: value.shape for key, value in checkpoint['state_dict'].items()},
        {key: value.shape for key, value in model.state_dict().items()},
    )
    if differences:
        raise CheckError(
            f'--resume: {filename} is of another model than the config. {differences.describe()}\n'
            'Resume with the config of that run, or choose another --work-dir and start from its '
            'weights with --pretrained (the backbone) or --cfg-options load_from=FILE (all)'
        )
    if (
        not {'epoch', 'iter'} <= set(checkpoint.get('meta') or {})
        or 'message_hub' not in checkpoint
    ):
        raise CheckError(
            f'--resume: {filename} has weights only, no optimizer and no progress: start from it '
            'with --pretrained (the backbone) or --cfg-options load_from=FILE (all)'
        )
    if isinstance(runner.optim_wrapper, OptimWrapper) and 'optimizer' in checkpoint:
        _check_optimizer(runner.optim_wrapper, checkpoint['optimizer'], filename)
    epoch, max_epochs = checkpoint['meta']['epoch'], runner.max_epochs
    if isinstance(runner.train_loop, EpochBasedTrainLoop) and epoch > max_epochs:
        raise CheckError(
            f'--resume: {filename} is at epoch {epoch}, but the config ends at epoch {max_epochs} '
            '(train_cfg.max_epochs): nothing is left to train'
        )


def _check_optimizer(wrapper: OptimWrapper, saved: dict, filename: str) -> None:
    if isinstance(wrapper, OptimWrapperDict) or 'param_groups' not in saved:
        return
    groups, saved_groups = wrapper.optimizer.param_groups, saved['param_groups']
    sizes, saved_sizes = ([len(g['params']) for g in gs] for gs in (groups, saved_groups))
    parameters = [parameter for group in groups for parameter in group['params']]
    numbers = [number for group in saved_groups for number in group['params']]
    wrong = sizes != saved_sizes
    for parameter, number in zip(parameters, numbers):
        for value in saved['state'].get(number, {}).values():
            if getattr(value, 'ndim', 0) and value.shape != parameter.shape:
                wrong = True
    if wrong:
        raise CheckError(
            f'--resume: the optimizer in {filename} has {len(numbers)} parameters in '
            f'{len(saved_sizes)} groups, that of the config {len(parameters)} in {len(sizes)}, or '
            'their shapes differ: paramwise_cfg, frozen stages or the optimizer itself changed. '
            'Resume with the config of that run'
        )


def follow_config(
    runner: Runner, checkpoint: dict, wanted: List[dict], seed: Optional[int] = None
) -> None:
    """Let the config of this run hold from here on, and say what of the old one it replaces.

    Where nothing differs, schedulers take their state from the checkpoint, to the last bit.
    Else they are those of the config, stepped to the place reached: epochs stay epochs, and in
    runs by iteration the images seen decide.

    Args:
        runner (Runner): After weights, optimizer and progress were resumed.
        checkpoint (dict): That it resumed from.
        wanted (List[dict]): :func:`hyperparameters` before it resumed.
        seed (int, optional): That the config sets. Defaults to None, then the checkpoint's holds.
    """
    groups = parameter_groups(runner.optim_wrapper)
    before = hyperparameters(runner.optim_wrapper)
    config_changes = changed_config(checkpoint, runner)
    changes = changed_settings(checkpoint, runner) + changed_groups(before, wanted)
    old_seed = checkpoint['meta'].get('seed')
    if seed is not None and seed != old_seed:
        changes.append(f'seed {old_seed} -> {seed}')
    place = _place(checkpoint, runner)
    schedulers = _flat(runner.param_schedulers)
    states = _flat(checkpoint.get('param_schedulers') or [])
    same = len(states) == len(schedulers) and all(
        _kind(scheduler.state_dict()) == _kind(state)
        for scheduler, state in zip(schedulers, states)
    )
    if not same and not changes:
        changes.append('param_scheduler')
    named = [change for change in changes if not is_named(change, config_changes)]
    named = config_changes[: _SHOWN - len(named)] + named
    if len(config_changes) + len(changes) > len(named) and len(config_changes) > _SHOWN:
        named.append(f'{len(config_changes)} settings in all')
    if not changes and place == (runner.epoch, runner.iter):
        for scheduler, state in zip(schedulers, states):
            scheduler.load_state_dict(state)
        if named:
            say(f'--resume: the config differs from that of the checkpoint: {"; ".join(named)}')
        _say_if_finished(runner)
        return
    for group, settings in zip(groups, wanted):
        group.update(settings)
    runner.train_loop._epoch, runner.train_loop._iter = place
    _step_to(schedulers, *place)
    what = '; '.join(named) or f'step {checkpoint["meta"]["iter"]} lies inside an epoch'
    say(
        f'--resume: this run differs from that of the checkpoint: {what}. The config holds: its '
        f'schedule is rebuilt at epoch {place[0]}, step {place[1]} of {runner.max_iters} '
        f'({place[1] * images_per_step(runner):,} images seen)'
    )
    _say_if_finished(runner)


def _say_if_finished(runner: Runner) -> None:
    if runner.iter >= runner.max_iters:
        say(f'--resume: this run has finished before, at step {runner.iter}; nothing is left')


def _flat(schedulers: Any) -> list:
    if isinstance(schedulers, dict):
        return [scheduler for inner in schedulers.values() for scheduler in inner]
    return list(schedulers or [])


def _kind(state: dict) -> dict:
    """What a scheduler is, without where it stands."""
    return {key: value for key, value in state.items() if key not in _PROGRESS | {'optimizer'}}


def _place(checkpoint: dict, runner: Runner) -> tuple:
    """Epoch and step at which this run goes on."""
    meta = checkpoint['meta']
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return meta['epoch'], meta['epoch'] * len(runner.train_dataloader)
    old = (meta.get('run') or {}).get('images_per_step', images_per_step(runner))
    return meta['epoch'], meta['iter'] * old // images_per_step(runner)


def _step_to(schedulers: list, epochs: int, steps: int) -> None:
    """Step fresh schedulers as ``ParamSchedulerHook`` would have until there.

    mmengine makes a group per parameter, hundreds of them, but few differ in what is scheduled:
    only one of each kind is stepped, and the others get its values. A million steps take seconds.
    """
    optimizers = {id(scheduler.optimizer): scheduler.optimizer for scheduler in schedulers}
    restore = [_thin_out(optimizer, schedulers) for optimizer in optimizers.values()]
    by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
    by_step = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
    per_epoch = steps // epochs if epochs else steps
    for epoch in range(max(epochs, 1)):
        last = epoch == max(epochs, 1) - 1
        for _ in range(steps - epoch * per_epoch if last else per_epoch):
            for scheduler in by_step:
                scheduler.step()
        if epochs:
            for scheduler in by_epoch:
                scheduler.step()
    for step in restore:
        step()


def _thin_out(optimizer: Any, schedulers: list) -> Callable[[], None]:
    """Let schedulers see one group of each kind; returns what undoes it, values handed on."""
    schedulers = [scheduler for scheduler in schedulers if scheduler.optimizer is optimizer]
    names = sorted({scheduler.param_name for scheduler in schedulers})
    groups = optimizer.param_groups
    kinds = [tuple((group[name], group[f'initial_{name}']) for name in names) for group in groups]
    first = {kind: kinds.index(kind) for kind in dict.fromkeys(kinds)}
    whole = [scheduler.base_values for scheduler in schedulers]
    # the wrapper's step counts its calls, and a scheduler warns where there were none
    stand_in = SimpleNamespace(
        param_groups=[groups[i] for i in first.values()], step=optimizer.step, _global_step=0
    )
    for scheduler in schedulers:
        scheduler.optimizer = stand_in
        scheduler.base_values = [scheduler.base_values[i] for i in first.values()]

    def undo() -> None:
        for group, kind in zip(groups, kinds):
            group.update({name: groups[first[kind]][name] for name in names})
        for scheduler, base_values in zip(schedulers, whole):
            scheduler.optimizer, scheduler.base_values = optimizer, base_values
            scheduler._last_value = [group[scheduler.param_name] for group in groups]

    return undo

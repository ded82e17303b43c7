"""What a checkpoint remembers of its run, and how the config of a later one differs."""

from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

# parts of a config that decide what a run computes; others are paths, logs and variables
_PARTS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
          'auto_scale_lr', 'randomness', 'custom_hooks')  # fmt: skip


def run_settings(runner: Runner) -> Dict[str, Any]:
    """What a later resume compares; goes into every checkpoint."""
    loader = runner.train_dataloader
    return dict(
        max_epochs=runner.max_epochs,
        max_iters=runner.max_iters,
        images_per_step=images_per_step(runner),
        images=len(loader.dataset),
        config={
            key: text for part in _PARTS for key, text in _settings(part, runner.cfg.get(part))
        },
    )


def _settings(key: str, value: Any) -> Iterator[Tuple[str, str]]:
    """Every setting below a part of a config, its key dotted and its value as a text."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _settings(f'{key}.{name}', inner)
    elif isinstance(value, (list, tuple)) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _settings(f'{key}.{number}', inner)
    elif value is not None:
        yield key, str(value)


def images_per_step(runner: Runner) -> int:
    """Images that all processes see in one iteration."""
    loader = runner.train_dataloader
    batch_size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
    return batch_size * runner.world_size


def parameter_groups(wrapper: Any) -> List[dict]:
    """Parameter groups, and the settings that the log calls ``base_lr``."""
    wrappers = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return [group for inner in wrappers for group in inner.param_groups]


def hyperparameters(wrapper: Any) -> List[dict]:
    """Settings of each parameter group of a built optimizer, without its parameters."""
    return [
        {key: value for key, value in group.items() if key != 'params'}
        for group in parameter_groups(wrapper)
    ]


def changed_config(checkpoint: dict, runner: Runner) -> List[str]:
    """Settings that differ from the config of the checkpoint, as far as it says."""
    old = (checkpoint['meta'].get('run') or {}).get('config')
    if old is None:  # of a run before this was noted
        return []
    new = run_settings(runner)['config']
    return [
        f'{key} {_short(old.get(key))} -> {_short(new.get(key))}'
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def changed_settings(checkpoint: dict, runner: Runner) -> List[str]:
    """Lengths that differ: epochs, steps, images per step, images of the data set."""
    old = checkpoint['meta'].get('run')
    if old is None:  # of a run before this was noted
        info = checkpoint['message_hub'].get('runtime_info', {})
        old = {key: info[key] for key in ('max_epochs', 'max_iters') if key in info}
    new = run_settings(runner)
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        old, new = dict(old), dict(new)
        old.pop('max_iters', None)  # follows from the others
    words = dict(images_per_step='images per step', images='images of the data set')
    return [
        f'{words.get(key, key)} {old[key]:,} -> {new[key]:,}'
        for key in ('max_epochs', 'max_iters', 'images_per_step', 'images')
        if key in old and old[key] != new[key]
    ]


def changed_groups(before: List[dict], wanted: List[dict]) -> List[str]:
    """Hyperparameters that differ; of what a schedule changes, the values that it starts from."""
    changes: Dict[str, List[str]] = {}
    for old, new in zip(before, wanted):
        for key, value in new.items():
            scheduled = f'initial_{key}' in new  # its present value is the schedule's
            if not scheduled and key in old and old[key] != value:
                name = key.removeprefix('initial_')
                changes.setdefault(name, []).append(f'{old[key]} -> {value}')
    total = len(wanted)
    return [
        f'{name} {values[0]}' + (f' ({len(values)} of {total} groups)' if total > 1 else '')
        for name, values in changes.items()
    ]


def is_named(change: str, config_changes: List[str]) -> bool:
    """Whether a change of an optimizer, a seed or a length stands in the config as well."""
    name = change.split(' ', 1)[0]
    return any(line.split(' ', 1)[0].split('.')[-1] == name for line in config_changes) or (
        name == 'param_scheduler' and any(line.startswith(name) for line in config_changes)
    )


def _short(text: Optional[str]) -> str:
    return 'not set' if text is None else text if len(text) <= 60 else f'{text[:57]}...'

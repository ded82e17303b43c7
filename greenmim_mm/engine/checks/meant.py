"""What a name that reaches nothing was meant to be."""

from difflib import get_close_matches
from typing import Iterable, Iterator, List, Tuple

from mmengine.config import Config

from .takers import READ

# names of OpenMMLab's first generation, and those of other tools
OLD = {
    'base_lr': 'optim_wrapper.optimizer.lr',
    'checkpoint_config.interval': 'default_hooks.checkpoint.interval',
    'data.samples_per_gpu': 'train_dataloader.batch_size',
    'data.workers_per_gpu': 'train_dataloader.num_workers',
    'evaluation.interval': 'train_cfg.val_interval',
    'log_config.interval': 'default_hooks.logger.interval',
    'optimizer_config.grad_clip.max_norm': 'optim_wrapper.clip_grad.max_norm',
    'runner.max_epochs': 'train_cfg.max_epochs',
    'seed': 'randomness.seed',
    'val_interval': 'train_cfg.val_interval',
}
_STRICT = 0.85  # similarity of a misspelt name to a known one, where others are possible, too


def typos(name: str, known: Iterable[str], cutoff: float = _STRICT) -> List[str]:
    """The known name that ``name`` is most likely meant to be, if any; strict.

    Args:
        name (str): A name that is not known.
        known (Iterable[str]): Names that are.
        cutoff (float): Similarity from which a name counts, of difflib. Defaults to 0.85.
    """
    swapped = [other for other in known if name != other and sorted(name) == sorted(other)]
    return swapped[:1] or get_close_matches(name, known, n=1, cutoff=cutoff)


def like(name: str, known: List[str], node: dict) -> List[str]:
    """Keys of a dict that ``name`` may be meant to be, the most likely first.

    Args:
        name (str): A name that the dict does not have.
        known (List[str]): Names that it may have.
        node (dict): The dict: ``loss_type`` may be its ``loss.type``.
    """
    below = [
        f'{key}.{name[len(key) + 1 :]}'
        for key, value in node.items()
        if name.startswith(f'{key}_') and isinstance(value, dict) and name[len(key) + 1 :] in value
    ]
    close = get_close_matches(name, known, n=3)
    around = [other for other in known if len(name) > 3 and f'_{name}_' in f'_{other}_']
    return [*below, *close, *(other for other in around if other not in close)]


def ending_with(cfg: Config, parts: List[str]) -> Iterator[List[str]]:
    """Keys below which a run reads something that end with the given ones."""
    for top in cfg:
        if top in READ:
            for path, _ in _nodes([top], cfg[top]):
                if path[-len(parts) :] == parts:
                    yield path


def made_from(cfg: Config, name: str) -> List[List[str]]:
    """Keys below which a run reads the value of a variable of the config file.

    Those of the same name come first. Where none of the same name has its value, those with other
    values count, too. An equal number says nothing, but at the end of a schedule.
    """
    value = _without_scopes(cfg[name])
    found = []
    for path, other in (pair for top in cfg if top in READ for pair in _nodes([top], cfg[top])):
        other, same_name = _without_scopes(other), path[-1] == name
        if isinstance(value, str) and len(value) > 3 and isinstance(other, str):
            made = other.startswith(value)  # data_root + 'annotations/...'
        else:
            end = path[0] == 'param_scheduler' and path[-1] == 'end' and name.startswith('max_')
            telling = isinstance(value, (dict, list)) and len(value) > 0
            equal = type(value) is type(other) and value == other
            made = equal and (telling or same_name or end)
        if made:
            found.append(path)
    if not any(path[-1] == name for path in found):
        found += ending_with(cfg, [name])
    return sorted(found, key=lambda path: path[-1] != name)


def _nodes(path: List[str], node: object) -> Iterator[Tuple[List[str], object]]:
    """Every value in a config with its keys."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _nodes([*path, str(key)], value)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _nodes([*path, str(i)], value)


def _without_scopes(node: object) -> object:
    """A value without the ``_scope_`` that mmengine adds to what comes from another package."""
    if isinstance(node, dict):
        return {k: _without_scopes(value) for k, value in node.items() if k != '_scope_'}
    if isinstance(node, (list, tuple)):
        return [_without_scopes(value) for value in node]
    return node

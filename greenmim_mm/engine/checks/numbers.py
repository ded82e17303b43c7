"""Numbers of a config that no run can have: a batch of nothing, a rate that is a text."""

from typing import Iterator, List, Tuple

from mmengine.config import Config

from .finding import Finding

_MANY = 2**32  # numpy's seeds end there


def check_numbers(cfg: Config, loaders: Tuple[str, ...]) -> List[Finding]:
    """Find sizes, lengths, rates and seeds that are no number, or not in the range.

    Args:
        cfg (Config): The complete config.
        loaders (Tuple[str, ...]): Keys of the loaders that are used; with 'train_dataloader'
            among them, what belongs to training is looked at, too.

    Returns:
        List[Finding]: An error per value, with the key and what is allowed.
    """
    findings = []
    for key, value, kinds, lowest in _values(cfg, loaders):
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        whole = kinds is int or key.startswith('train_cfg.')  # max_iters=1e5 is one, too
        most = _MANY - 1 if key == 'randomness.seed' else float('inf')
        if fits and lowest <= value <= most and (not whole or value % 1 == 0):
            continue
        allowed = f'a {"whole " * whole}number, {lowest} or more'
        if key == 'randomness.seed':
            allowed = f'a whole number from 0 to {_MANY - 1}, or None'
        findings.append(Finding('error', f'{key} is {allowed}, got {value!r}'))
    return findings


def _values(cfg: Config, loaders: Tuple[str, ...]) -> Iterator[Tuple[str, object, object, int]]:
    """(key, value, kinds, lowest value) of every number that is set."""
    both = (int, float)
    rules = [(loader, 'batch_size', int, 1) for loader in loaders]
    rules += [(loader, 'num_workers', int, 0) for loader in loaders]
    rules += [('randomness', 'seed', int, 0)]
    if 'train_dataloader' in loaders:
        rules += [('train_cfg', 'max_epochs', both, 1), ('train_cfg', 'max_iters', both, 1)]
        rules += [('train_cfg', 'val_interval', both, 1)]
        rules += [('auto_scale_lr', 'base_batch_size', int, 1)]
    nodes = [(where, cfg.get(where), *rule) for where, *rule in rules]
    if 'train_dataloader' in loaders:
        wrapper = cfg.get('optim_wrapper')
        wrappers = {'optim_wrapper': wrapper}
        if isinstance(wrapper, dict) and 'optimizer' not in wrapper:
            wrappers = {f'optim_wrapper.{name}': node for name, node in wrapper.items()}
        for where, node in wrappers.items():
            if isinstance(node, dict):
                nodes += [(where, node, 'accumulative_counts', int, 1)]
                nodes += [(f'{where}.optimizer', node.get('optimizer'), 'lr', both, 0)]
    for where, node, name, kinds, lowest in nodes:
        if isinstance(node, dict) and node.get(name) is not None:
            yield f'{where}.{name}', node[name], kinds, lowest

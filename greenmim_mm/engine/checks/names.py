"""Misspelt names in a config file that mmengine would pass over."""

from typing import Iterator, List, Tuple

from mmengine.config import Config

from .finding import Finding
from .meant import typos
from .takers import DEFAULT_HOOKS, READ, names_for


def check_names(cfg: Config) -> List[Finding]:
    """Find near misses of the names that a run reads, where nothing else would notice them.

    A config file may hold variables of its own, so that only a name that is almost one of
    mmengine's is wrong (``optim_wraper``, ``auto_scale_lr.base_batchsize``). Parameters of
    classes need no check here: a class refuses what it does not take.

    Args:
        cfg (Config): As read from the file.

    Returns:
        List[Finding]: An error per name, with the one that is read. Names that begin with an
        underscore give a warning: they set nothing.
    """
    findings = []
    for path, node, known in _passed_over(cfg):
        for name in node:
            close = [] if name in known else typos(str(name), known, cutoff=0.9 if path else 0.92)
            if close:
                wrong, right = ('.'.join([*path, part]) for part in (str(name), close[0]))
                level = 'warning' if str(name).startswith('_') else 'error'
                message = f'nothing reads {wrong} of the config; did you mean {right}?'
                findings.append(Finding(level, message))
    return findings


def _passed_over(cfg: Config) -> Iterator[Tuple[List[str], dict, List[str]]]:
    """(path, dict, known names) of every dict in which mmengine ignores unknown names."""
    scope = cfg.get('default_scope')
    yield [], cfg, [name for name in sorted(READ) if not name.startswith('tta_')]
    yield ['default_hooks'], cfg.get('default_hooks') or {}, list(DEFAULT_HOOKS)
    for key in ('auto_scale_lr', 'env_cfg'):
        yield [key], cfg.get(key) or {}, list(names_for((key,), {}, None, scope).names)
    optim_wrapper = cfg.get('optim_wrapper') or {}
    path = ['optim_wrapper', 'paramwise_cfg']
    paramwise = optim_wrapper.get('paramwise_cfg') or {}
    names = names_for(path, paramwise, optim_wrapper.get('constructor'), scope).names
    yield path, paramwise, list(names)

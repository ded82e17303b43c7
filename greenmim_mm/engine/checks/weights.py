"""Checkpoints that a run starts from, and that are not there."""

import os.path as osp
from typing import Iterator, List, Tuple

from mmengine.config import Config

from .finding import Finding


def _pretrained_entries(part, key: str = 'model') -> Iterator[Tuple[str, dict]]:
    """Every ``dict(type='Pretrained', ...)`` of a model's config, with its config key."""
    if isinstance(part, dict):
        if part.get('type') == 'Pretrained' and 'checkpoint' in part:
            yield key, part
            return
        items = part.items()
    elif isinstance(part, (list, tuple)):
        items = enumerate(part)
    else:
        return
    for name, inner in items:
        yield from _pretrained_entries(inner, f'{key}.{name}')


def _is_missing(path: str) -> bool:
    """Whether a local file is not there; URLs and model hubs are not looked at."""
    return '://' not in path and not osp.isfile(osp.expanduser(path))


def check_checkpoints(cfg: Config, starts: bool = True) -> List[Finding]:
    """Look for every checkpoint that a run reads before its first step.

    Args:
        cfg (Config): Of any package.
        starts (bool): Whether weights are initialised: not in tests and resumed runs, which have
            everything from ``load_from``. Defaults to True.

    Returns:
        List[Finding]: An error per file that is not there, with the options that name another.
    """
    findings = []
    load_from = cfg.get('load_from')
    if load_from is not None and _is_missing(load_from):
        findings.append(Finding('error', f'checkpoint not found: {load_from} (load_from)'))
    model = cfg.get('model') or {}
    init_cfg = (model.get('backbone') or {}).get('init_cfg')
    if isinstance(init_cfg, str):
        message = f'model.backbone.init_cfg must be a dict or None, got {init_cfg!r}'
        findings.append(Finding('error', message))
    for key, entry in _pretrained_entries(model) if starts else ():
        if not _is_missing(entry['checkpoint']):
            continue
        message = f'pre-trained checkpoint not found: {entry["checkpoint"]} ({key}.checkpoint).\n'
        if key.startswith('model.backbone.init_cfg'):
            message += 'Name one with --pretrained work_dirs/PRETRAIN_RUN/epoch_N.pth, or train '
        else:
            message += f'Name one with --cfg-options {key}.checkpoint=FILE, or train '
        init = key[: key.index('init_cfg') + len('init_cfg')] if 'init_cfg' in key else key
        message += f'from random initialisation with --cfg-options {init}=None'
        findings.append(Finding('error', message))
    return findings

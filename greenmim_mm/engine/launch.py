"""What ``tools/train.py`` and ``tools/test.py`` share: from arguments to a runner.

The arguments are those of MMPretrain's and MMDetection's own scripts; a config
of either package runs.
"""

import argparse
import contextlib
import ctypes
import io
import os
import os.path as osp
import sys
from importlib import import_module
from typing import Optional, Tuple

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..compat.mmseg_name import find_mmseg_by_module
from ..compat.safe_load import load_safely_in_mmengine
from .checkpoint import latest_checkpoint, remove_leftovers, save_atomically
from .checks import (
    CheckError,
    check_checkpoints,
    check_classes,
    check_datasets,
    check_learning_rate,
    check_names,
    check_numbers,
    check_options,
    check_schedule,
    check_work_dir,
    enforce,
    say,
)
from .config_options import add_config_options, merge_options, read_config
from .errors import run_or_explain  # noqa: F401  (the tools take it from here)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that training and testing have in common."""
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and metrics')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument(
        '--partial',
        action='store_true',
        help='take what fits of a checkpoint, and name the rest, instead of ending with an error',
    )
    # torch.distributed.launch passes one or the other
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config, check its names and the options, and merge the common arguments.

    Raises:
        CheckError: If the config cannot be read, or an option or a name reaches nothing.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    find_mmseg_by_module()
    cfg = read_config(args.config)
    import_quietly(cfg.get('default_scope'))
    enforce([*check_names(cfg), *check_options(cfg, args.cfg_options or {})])
    merge_options(cfg, args.cfg_options)
    drop_mixed_precision_settings(cfg)
    cfg.launcher = args.launcher
    if args.partial:
        cfg.partial_load = True
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    return cfg


def set_dataloader_defaults(
    cfg: Config, pin_memory: bool = True, persistent_workers: bool = True
) -> None:
    """Loader settings that MMPretrain's own script adds, for MMPretrain configs only.

    Workers cannot persist where there are none: that combination is mended
    for every config, so that ``--cfg-options train_dataloader.num_workers=0`` works.
    """
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(field)
        if loader is None:
            continue
        if cfg.get('default_scope') == 'mmpretrain':
            defaults = ConfigDict(
                pin_memory=True, persistent_workers=True, collate_fn=dict(type='default_collate')
            )
            defaults.update(loader)
            cfg[field] = defaults
            loader = cfg[field]  # Config keeps a copy
        if not pin_memory:
            loader.pin_memory = False
        if not persistent_workers or not loader.get('num_workers'):
            loader.persistent_workers = False


def fit_to_hardware(cfg: Config) -> None:
    """Let a config for GPUs run on a machine without one, and say what changed."""
    if torch.cuda.is_available():
        return
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(field) is not None:
            cfg[field].pin_memory = False
    if replace_sync_batch_norm(cfg.get('model')):
        say('No GPU: SyncBN of the config is BN in this run.')
    optim_wrapper = cfg.get('optim_wrapper')
    if optim_wrapper is not None and optim_wrapper.get('type') == 'AmpOptimWrapper':
        optim_wrapper.type = 'OptimWrapper'
        drop_mixed_precision_settings(cfg)
        say('No GPU: the config asks for mixed precision, this run uses fp32 on the CPU.')
    if cfg.launcher == 'pytorch':
        # mmengine's init_dist and wrap_model assume CUDA devices
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group('gloo')
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        say(f'No GPU: {torch.distributed.get_world_size()} processes train on the CPU with gloo.')


def drop_mixed_precision_settings(cfg: Config) -> None:
    """Forget what only ``AmpOptimWrapper`` takes, if the config asks for full precision.

    So that ``--cfg-options optim_wrapper.type=OptimWrapper`` is enough.
    """
    optim_wrapper = cfg.get('optim_wrapper') or {}
    if optim_wrapper.get('type') == 'OptimWrapper':
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            optim_wrapper.pop(key, None)


def replace_sync_batch_norm(model) -> int:
    """Turn every SyncBN of a model's config, in place, into BN, which runs on a CPU.

    Returns:
        int: How many there were.
    """
    if isinstance(model, dict):
        if model.get('type') in ('SyncBN', 'MMSyncBN'):
            model['type'] = 'BN'
            return 1
        model = model.values()
    elif not isinstance(model, (list, tuple)):
        return 0
    return sum(replace_sync_batch_norm(part) for part in model)


def keep_freed_memory() -> None:
    """On a CPU, let glibc reuse freed memory instead of handing it back to the system.

    Otherwise the heap shrinks and grows in every step, and the pages of the
    activations are cleared anew: tens of thousands of page faults a step. Does
    nothing with a GPU, on another C library, or with ``MALLOC_TRIM_THRESHOLD_`` set.
    """
    if torch.cuda.is_available() or 'MALLOC_TRIM_THRESHOLD_' in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
        for option in (trim_threshold, mmap_threshold):
            mallopt(option, 2**31 - 1)


def resolve_resume(cfg: Config) -> None:
    """Turn "resume from the newest checkpoint" into its path, if there is one.

    A run that has no checkpoint yet starts anew, from ``load_from`` of the config where it has one.

    Raises:
        CheckError: If the folder had a checkpoint and has none now.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    newest = latest_checkpoint(cfg.work_dir, elsewhere=bool(hook.get('out_dir')))
    start = cfg.get('load_from')
    cfg.resume = newest is not None
    cfg.load_from = newest or start
    where = f'no checkpoint in {cfg.work_dir}, starting anew'
    if newest is None and start is not None:
        where += f' from {start}'
    say(f'--resume: {f"resuming from {newest}" if newest else where}')


def start_backbone_from(cfg: Config, checkpoint: str) -> None:
    """Let ``--pretrained`` name the checkpoint; prefix and other initialisers are the config's.

    Raises:
        CheckError: If the model has no backbone.
    """
    if cfg.get('model') is None or not isinstance(cfg.model.get('backbone'), dict):
        raise CheckError('--pretrained needs model.backbone in the config')
    init_cfg = cfg.model.backbone.get('init_cfg')
    entries = [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or [])
    for entry in entries:
        if entry.get('type') == 'Pretrained':
            entry['checkpoint'] = checkpoint
            entry.setdefault('prefix', 'backbone.')
            break
    else:
        entries.append(dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'))
    cfg.model.backbone.init_cfg = entries if len(entries) > 1 else entries[0]


def build_runner(cfg: Config, loaders: Tuple[str, ...]) -> Runner:
    """Check the data and its classes, then build the runner.

    Args:
        cfg (Config): The complete config.
        loaders (Tuple[str, ...]): Loaders whose data must be there.
    """
    trains = 'train_dataloader' in loaders
    enforce(check_numbers(cfg, loaders))  # the next ones calculate with them
    findings = check_checkpoints(cfg, starts=trains and not cfg.get('resume'))
    findings += [*check_work_dir(cfg), *check_datasets(cfg, loaders)]
    if trains:
        findings += [*check_learning_rate(cfg), *check_schedule(cfg)]
    enforce(findings)
    load_safely_in_mmengine()
    save_atomically()
    fit_to_hardware(cfg)
    keep_freed_memory()
    import_quietly(cfg.get('default_scope'))
    enforce(check_classes(cfg, loaders))
    if int(os.environ.get('RANK', 0)) == 0:
        for name in remove_leftovers(cfg.work_dir):
            say(f'removed {name}, left by a save that was interrupted')
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    from .runner import StrictRunner, TrainingRunner  # imports the models

    return (TrainingRunner if trains else StrictRunner).from_cfg(cfg)


def import_quietly(scope: Optional[str] = None) -> None:
    """Import the packages' data sets without their note on a platform nobody asked for.

    Args:
        scope (str, optional): ``'mmseg'`` imports that one, too. Defaults to None.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for package in ('mmpretrain', 'mmdet', *(['mmseg'] if scope == 'mmseg' else [])):
            import_module(f'{package}.datasets')
    for line in printed.getvalue().splitlines():
        if 'Could not import OneDL' not in line:
            print(line)

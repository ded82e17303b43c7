"""Runs of the command-line tools on a tiny set that is drawn once."""

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = 'configs/greenmim/swin_demo_pretrain.py'
DETECT = 'configs/greenmim/mask_rcnn_swin_demo_coco.py'


def environment(**extra):
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT), 'PYTHON': sys.executable}
    return {**env, **extra}


def run_tool(*command, check=True, **extra):
    """Run ``python COMMAND`` (or a shell script) in the repository root."""
    first = ['bash'] if str(command[0]).endswith('.sh') else [sys.executable]
    result = subprocess.run(
        [*first, *map(str, command)], cwd=ROOT, env=environment(**extra), text=True,
        capture_output=True, timeout=900,  # machines may be slow
    )  # fmt: skip
    result.log = result.stdout + result.stderr
    if check:
        assert result.returncode == 0, result.log[-3000:]
    return result


def refusal(*command, status=2):
    """What a command says that ends with an error; here, where imports are paid for once."""
    said = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(said),
        pytest.raises(SystemExit) as ended,
    ):
        patch.setattr(sys, 'argv', list(map(str, command)))
        patch.setattr(sys, 'path', [str((ROOT / command[0]).parent), *sys.path])
        patch.chdir(ROOT)
        runpy.run_path(sys.argv[0], run_name='__main__')
    code = ended.value.code
    assert (1 if isinstance(code, str) else code) == status  # a text: Python prints it, status 1
    assert 'Traceback' not in said.getvalue()
    return f'{said.getvalue()}{code}'


def scalars(work_dir, key='loss'):
    """Step -> value; a later part of a run (after resuming) overrides an earlier one."""
    values = {}
    for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for line in map(json.loads, file.read_text().splitlines()):
            if key in line:
                values[line['step']] = line[key]
    return values


def pretrain_options(data, *more):
    return ['--cfg-options', f'train_dataloader.dataset.data_root={data}/unlabelled',
            'train_dataloader.batch_size=4', 'train_cfg.max_epochs=2', 'param_scheduler.1.end=2',
            'default_hooks.logger.interval=1', 'model.backbone.arch.embed_dims=16',
            'model.neck.in_channels=64', *more]  # fmt: skip


def detect_options(data, *more):
    return ['--cfg-options', f'train_dataloader.dataset.data_root={data}/',
            f'val_dataloader.dataset.data_root={data}/',
            f'val_evaluator.ann_file={data}/annotations/instances_val.json',
            f'test_dataloader.dataset.data_root={data}/',
            f'test_evaluator.ann_file={data}/annotations/instances_val.json',
            'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'param_scheduler.1.end=1',
            'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1',
            'model.backbone.arch.embed_dims=16', 'model.neck.in_channels=[16,32,64]',
            *more]  # fmt: skip


@pytest.fixture(scope='session')
def toy(tmp_path_factory):
    out = tmp_path_factory.mktemp('toy')
    run_tool('tools/dataset_converters/make_toy_coco.py', out, '--size', '96', '--train', '8',
             '--val', '4', '--unlabelled', '16')  # fmt: skip
    return out


@pytest.fixture(scope='session')
def pretrained(toy, tmp_path_factory):
    """An uninterrupted run of two epochs of four iterations."""
    work_dir = tmp_path_factory.mktemp('pretrain')
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', work_dir, *pretrain_options(toy))
    return SimpleNamespace(work_dir=work_dir, log=result.log, checkpoint=work_dir / 'epoch_2.pth')

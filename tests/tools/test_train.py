"""What a run does when something is killed, missing, broken or not there."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from greenmim_mm.compat.safe_load import load_checkpoint_file
from tests.tools.conftest import (
    DETECT,
    PRETRAIN,
    ROOT,
    detect_options,
    environment,
    pretrain_options,
    refusal,
    run_tool,
    scalars,
)

pytestmark = pytest.mark.slow


def kill_when(work_dir, ready, command):
    """Start a run and SIGKILL it as soon as ``ready(work_dir)``."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    deadline = time.time() + 600
    while process.poll() is None and not ready(work_dir):
        assert time.time() < deadline
        time.sleep(0.02)
    assert process.poll() is None, 'the run ended before it was killed'
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


MOMENTS = {
    'inside an epoch': lambda d: max(scalars(d), default=0) >= 6,
    'between epochs': lambda d: (d / 'last_checkpoint').is_file(),
}


@pytest.mark.parametrize('moment,workers', [('inside an epoch', 0), ('between epochs', 1)])
def test_killed_and_resumed_equals_uninterrupted(toy, pretrained, tmp_path, moment, workers):
    """Losses afterwards are the same to the last bit: weights, order, augmentation, masks."""
    command = ['tools/train.py', PRETRAIN, '--work-dir', tmp_path,
               *pretrain_options(toy, f'train_dataloader.num_workers={workers}')]  # fmt: skip
    kill_when(tmp_path, MOMENTS[moment], command)
    assert not (tmp_path / 'epoch_2.pth').exists()
    before = scalars(tmp_path)
    result = run_tool(*command, '--resume')
    assert f'resuming from {tmp_path}/epoch_1.pth' in result.log
    expected = scalars(pretrained.work_dir)
    after = scalars(tmp_path)
    assert sorted(after) == sorted(expected) == list(range(1, 9))
    assert after == expected
    assert all(before[step] == expected[step] for step in before)
    ours, theirs = (load_checkpoint_file(str(d / 'epoch_2.pth'))['state_dict']
                    for d in (tmp_path, pretrained.work_dir))  # fmt: skip
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_resume_without_a_checkpoint_starts_anew(toy, tmp_path):
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', tmp_path, '--resume',
                      *pretrain_options(toy, 'train_cfg.max_epochs=1'))  # fmt: skip
    assert f'no checkpoint in {tmp_path}, starting anew' in result.log
    assert sorted(scalars(tmp_path)) == [1, 2, 3, 4]


def test_a_lost_checkpoint_ends_resume_with_an_error(toy, tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_7.pth')
    said = refusal('tools/train.py', PRETRAIN, '--work-dir', tmp_path, '--resume',
                   *pretrain_options(toy))  # fmt: skip
    assert 'names /gone/epoch_7.pth, which is not there' in said


def test_resume_with_another_model_is_one_clear_error(toy, pretrained, tmp_path):
    """It ended in a segmentation fault, or trained on other weights with exit status 0."""
    work_dir = shutil.copytree(pretrained.work_dir, tmp_path / 'run')
    options = pretrain_options(toy, 'train_cfg.max_epochs=3', 'model.neck.embed_dims=64')
    said = refusal('tools/train.py', PRETRAIN, '--work-dir', work_dir, '--resume', *options)
    assert f'{work_dir}/epoch_2.pth is of another model than the config' in said
    assert 'The decoder of the checkpoint has width 128, the model 64.' in said
    assert not (work_dir / 'epoch_3.pth').exists()


def test_weights_of_pre_training_are_not_evaluated_as_a_detector(toy, pretrained, tmp_path):
    """It had exit status 0 and AP 0.000."""
    said = refusal('tools/test.py', DETECT, pretrained.checkpoint, '--work-dir', tmp_path,
                   *detect_options(toy))  # fmt: skip
    assert 'does not fit the config' in said and 'It is a checkpoint of pre-training' in said
    assert 'keys of the model are missing in the checkpoint' in said and '--partial' in said


@pytest.mark.parametrize('config,path,layout', [
    (PRETRAIN, 'nowhere/images', 'a folder with images'),
    (DETECT, 'nowhere/images', 'annotations/instances_train2017.json'),
])  # fmt: skip
def test_missing_data_is_one_clear_error(tmp_path, config, path, layout):
    said = refusal('tools/train.py', config, '--work-dir', tmp_path, '--cfg-options',
                   f'train_dataloader.dataset.data_root={path}',
                   'model.backbone.init_cfg=None')  # fmt: skip
    assert f'data set not found: {path}' in said
    assert layout in said
    assert '--cfg-options train_dataloader.dataset.data_root=/your/data' in said


def test_missing_checkpoint_is_one_clear_error():
    said = refusal('tools/train.py', DETECT, '--pretrained', 'gone.pth')
    assert 'pre-trained checkpoint not found: gone.pth' in said
    assert 'checkpoint not found: gone.pth' in refusal('tools/test.py', DETECT, 'gone.pth')


@pytest.fixture
def broken(toy, tmp_path):
    """Three images that cannot be read: truncated, empty, not an image."""
    data = tmp_path / 'data'
    shutil.copytree(toy / 'unlabelled', data / 'unlabelled')
    files = sorted((data / 'unlabelled').iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-1500])
    files[1].write_bytes(b'')
    files[2].write_bytes(b'hello')
    return data, [file.name for file in files[:3]]


def test_broken_images_are_named_and_skipped(broken, tmp_path):
    data, names = broken
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', tmp_path,
                      *pretrain_options(data, 'train_cfg.max_epochs=1'))  # fmt: skip
    assert sorted(scalars(tmp_path)) == [1, 2, 3, 4]
    for name in names:
        assert f'{name} cannot be read' in result.log


def test_broken_images_are_an_error_by_a_switch(broken, tmp_path):
    data, names = broken
    options = pretrain_options(
        data, 'train_dataloader.dataset.pipeline.0.on_error=raise', 'train_dataloader.num_workers=1'
    )
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', tmp_path, *options, check=False)
    assert result.returncode == 2
    line, where = result.stderr.strip().splitlines()[-2:]
    assert line.startswith('error: image ') and "on_error='skip'" in line
    assert any(f'{name} cannot be read' in line for name in names)
    assert where.startswith('The traceback is in ') and 'Traceback' not in result.log


def test_only_broken_images_is_an_error_not_a_hang(broken, tmp_path):
    data, _ = broken
    for file in (data / 'unlabelled').iterdir():
        file.write_bytes(b'hello')
    said = refusal('tools/train.py', PRETRAIN, '--work-dir', tmp_path, *pretrain_options(data))
    assert said.startswith('error: none of 16 pictures looked at can be read, first ')


def test_data_that_cannot_train_is_one_line(toy, tmp_path):
    """Before the model is built, and with no checkpoint that nobody trained."""
    few = tmp_path / 'few' / 'unlabelled'
    shutil.copytree(toy / 'unlabelled', few)
    for file in sorted(few.iterdir())[3:]:
        file.unlink()
    (tmp_path / 'a.zip').write_bytes(b'PK')
    for options, words in (
        ([], 'train_dataloader yields no batch: 3 samples, batch_size=4'),
        (
            [f'train_dataloader.dataset.data_root={tmp_path}/a.zip'],
            'a.zip is an archive: unpack it',
        ),
    ):
        said = refusal('tools/train.py', PRETRAIN, '--work-dir', tmp_path / 'run',
                       *pretrain_options(tmp_path / 'few', *options))  # fmt: skip
        line, where = said.splitlines()[:2]
        assert line.startswith('error: ') and words in line
        assert where.startswith('The traceback is in ') and 'Traceback' not in said
    assert not list(tmp_path.glob('run/*.pth'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_mixed_precision_without_a_gpu_runs_and_says_so(toy, tmp_path):
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', tmp_path, '--amp',
                      *pretrain_options(toy, 'train_cfg.max_epochs=1'))  # fmt: skip
    assert 'this run uses fp32 on the CPU' in result.log
    assert (tmp_path / 'epoch_1.pth').is_file()


def test_non_finite_loss_stops_the_run(toy, tmp_path):
    options = ['optim_wrapper.optimizer.lr=1e30', 'param_scheduler.0.start_factor=1.0']
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', tmp_path,
                      *pretrain_options(toy, *options), check=False)  # fmt: skip
    assert result.returncode != 0
    assert 'non-finite loss at iteration' in result.log
    assert 'learning rate 1e+30' in result.log and 'last checkpoint: none yet' in result.log
    assert not list(tmp_path.glob('epoch_*.pth'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
@pytest.mark.parametrize('per_image', [False, True])
def test_two_processes_on_the_cpu(toy, tmp_path, per_image):
    """They share the data, average gradients through gloo and leave one checkpoint."""
    result = run_tool(
        'tools/dist_train.sh', PRETRAIN, '2', '--work-dir', tmp_path,
        *pretrain_options(toy, 'train_cfg.max_epochs=1', f'model.per_image={per_image}'),
        PORT=str(29600 + os.getpid() % 300),
    )  # fmt: skip
    assert '2 processes train on the CPU with gloo' in result.log
    assert sorted(scalars(tmp_path)) == [1, 2]  # 16 images / (2 ranks x 4)
    assert [p.name for p in tmp_path.glob('*.pth')] == ['epoch_1.pth']


def test_auto_scale_lr(toy, tmp_path):
    result = run_tool('tools/train.py', PRETRAIN, '--work-dir', tmp_path, '--auto-scale-lr',
                      *pretrain_options(toy, 'train_cfg.max_epochs=1'))  # fmt: skip
    assert 'Scaling the original LR by 0.125' in result.log  # 4 of 32


def test_shell_scripts_pass_everything_on(tmp_path):
    """``python`` and ``srun`` are replaced by a script that prints its arguments."""
    fake = tmp_path / 'fake'
    fake.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    (tmp_path / 'srun').symlink_to(fake)
    extra = dict(PYTHON=str(fake), PATH=f'{tmp_path}:{os.environ["PATH"]}', NNODES='2',
                 NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='1234', GPUS='16')  # fmt: skip
    train = run_tool('tools/dist_train.sh', 'c.py', '8', '--resume', 'a b', **extra).stdout
    for word in ('--nnodes=2', '--node_rank=1', '--master_addr=10.0.0.1', '--master_port=1234',
                 '--nproc_per_node=8', 'c.py', '--launcher\npytorch', '--resume\na b'):  # fmt: skip
        assert word in train
    test = run_tool('tools/dist_test.sh', 'c.py', 'x.pth', '4', '--out', 'o.pkl', **extra).stdout
    assert 'c.py\nx.pth\n--launcher\npytorch\n--out\no.pkl' in test
    slurm = run_tool('tools/slurm_train.sh', 'part', 'job', 'c.py', 'dir', '--amp', **extra).stdout
    for word in ('-p\npart', '--job-name=job', '--ntasks=16', 'c.py\n--work-dir\ndir', '--amp'):
        assert word in slurm


def test_data_is_checked_for_every_loader_of_our_configs(tmp_path):
    """The default paths of the recipes are those that users of both packages have."""
    from mmengine.config import Config

    from greenmim_mm.engine.checks import check_datasets

    for name, path in (
        ('swin_b_pretrain', 'data/imagenet/train/'),
        ('swin_b_finetune', 'data/imagenet'),
        ('mask_rcnn_swin_b_lsj_coco', 'data/coco/'),
    ):
        if Path(path).exists():
            continue
        cfg = Config.fromfile(ROOT / f'configs/greenmim/{name}.py')
        findings = check_datasets(cfg, ('train_dataloader', 'val_dataloader'))
        assert f'data set not found: {path}' in findings[0].message

"""What the commands say when they are given something wrong: one error, exit status 2."""

import os
import subprocess
from uuid import uuid4

import pytest
import torch
from PIL import Image

from tests.tools.conftest import DETECT, PRETRAIN, ROOT, environment, pretrain_options, refusal

pytestmark = pytest.mark.slow  # models are built


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    (folder / 'unlabelled').mkdir()
    for i in range(8):
        Image.effect_noise((96, 96), 60).convert('RGB').save(folder / f'unlabelled/{i}.png')
    return folder


def train(data, work_dir, *options, more=()):
    """stderr of a run of pre-training that ends with an error; loggers live as long as tests do."""
    return refusal('tools/train.py', PRETRAIN, '--work-dir', work_dir, *more,
                   *pretrain_options(data, 'train_dataloader.num_workers=0',
                                     f'experiment_name={uuid4()}', *options))  # fmt: skip


@pytest.mark.parametrize('option,message', [
    ('model.mask_ratio=abc', "GreenMIM takes a number for mask_ratio, got 'abc'"),
    ('model.mask_ratio=2', 'mask_ratio must be strictly between 0 and 1, got 2'),
    ('modle.mask_ratio=0.5', 'did you mean model.mask_ratio?'),
    ('train_cfg.max_epoch=3', 'did you mean train_cfg.max_epochs?'),
    ('train_pipeline.0.on_error=raise', 'train_dataloader.dataset.pipeline.0.on_error'),
    ('custom_hooks.2.interval=5', "GreenMonitorHook takes no 'interval'"),
    ('train_dataloader.dataset.pipeline.1.scale=100', r'mask unit (16 pixels), got (100, 100)'),
    ('train_dataloader.dataset.pipeline.0.on_error=stop', "on_error must be 'raise' or 'skip'"),
    ('optim_wrapper.optimizer.lr=-1', 'optim_wrapper.optimizer.lr is a number, 0 or more, got -1'),
    ('optim_wrapper.optimizer.weight_decay=-1', 'AdamW: Invalid weight_decay value: -1'),
    ('randomness.seed=abc', 'randomness.seed is a whole number from 0'),
    ('model.backbone.type=Swim', 'Swim is not in'),
])  # fmt: skip
def test_options(data, tmp_path, option, message):
    said = train(data, tmp_path, option)
    assert message in said and len(said.splitlines()) < 20


def test_an_empty_folder(tmp_path):
    (tmp_path / 'unlabelled').mkdir()
    said = train(tmp_path, tmp_path / 'run')
    assert f'no image in {tmp_path}/unlabelled' in said
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert f'The traceback is in {log}' in said
    assert 'Traceback (most recent call last)' in log.read_text()


def test_a_work_dir_that_is_a_file(data, tmp_path):
    (tmp_path / 'file').write_text('')
    assert f'{tmp_path}/file is not a folder' in train(data, tmp_path / 'file')


@pytest.mark.parametrize('content', [b'hello', b'garbage\n', b''])
def test_a_file_that_is_no_checkpoint(data, tmp_path, content):
    file = tmp_path / 'wrong.pth'
    file.write_bytes(content)
    said = train(data, tmp_path / 'run', more=['--resume', file])
    assert f'checkpoint {file} cannot be read' in said


def test_a_checkpoint_of_something_else(data, tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')
    said = train(data, tmp_path / 'run', more=['--resume', tmp_path / 'list.pth'])
    assert 'must hold a dict, got list' in said


@pytest.mark.parametrize('arguments,message', [
    (['gone.py'], 'config gone.py is not a file'),
    (['configs'], 'config configs is not a file'),
    (['README.md'], 'config README.md cannot be read'),
    ([PRETRAIN, '--cfg-options', 'model.mask_ratio'], "'model.mask_ratio' is not of the form"),
    ([PRETRAIN, '--cfg-options', 'launcher=pytorch'], 'the option --launcher sets it'),
])  # fmt: skip
def test_arguments(tmp_path, arguments, message):
    for tool, more in (('train', []), ('test', [str(ROOT / 'README.md')])):
        said = refusal(f'tools/{tool}.py', arguments[0], *more, *arguments[1:])
        assert message in said


def test_other_tools_end_alike(tmp_path):
    (tmp_path / 'file').write_text('no checkpoint')
    file = tmp_path / 'file'
    for command, message in (
        (['tools/dataset_converters/make_toy_coco.py', file / 'x', '--train', '1'], f'{file}/x'),
        (['tools/model_converters/publish_model.py', file, tmp_path / 'o.pth'], 'cannot be read'),
        (['tools/model_converters/hvt_to_mmpretrain.py', file, tmp_path / 'o'], 'cannot be read'),
        (['tools/model_converters/vit_to_hpvit.py', file, 'o', '--config', 'gone.py'], 'gone.py'),
        (['tools/visualization/visualize_grouping.py', '--out', tmp_path / 'a.png',
          '--img-size', '100'], '(100, 100)'),
        (['tools/visualization/visualize_reconstruction.py', PRETRAIN, file, file,
          '--out-dir', tmp_path / 'o'], 'cannot be read'),
        (['tools/test.py', DETECT, file, '--out', 'o.txt'], '--out must end in .pkl'),
        (['tools/run_demo.py', '--out', file], 'file'),
    ):  # fmt: skip
        said = refusal(*command)
        assert message in said and 'error:' in said


@pytest.mark.parametrize('script,arguments', [
    ('dist_train.sh', []), ('dist_train.sh', ['c.py']), ('dist_train.sh', ['c.py', '--resume']),
    ('dist_train.sh', ['c.py', '0']), ('dist_test.sh', ['c.py', 'x.pth']),
    ('dist_test.sh', ['c.py', 'x.pth', '--out', 'a.pkl']), ('slurm_train.sh', ['p', 'j', 'c.py']),
    ('slurm_train.sh', ['p', 'j', 'c.py', '--resume']),
])  # fmt: skip
def test_scripts_without_a_number(script, arguments):
    done = subprocess.run(['bash', f'tools/{script}', *arguments], cwd=ROOT, env=environment(),
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2 and done.stdout == ''
    (line,) = done.stderr.splitlines()
    assert line.startswith('usage: ') and script in line
    assert ' '.join(arguments or ['nothing']) in line


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_several_processes_say_it_once(tmp_path):
    done = subprocess.run(
        ['bash', 'tools/dist_train.sh', PRETRAIN, '2', '--work-dir', tmp_path, '--cfg-options',
         'modle.mask_ratio=0.5'],
        cwd=ROOT, env=environment(PORT=str(29300 + os.getpid() % 300)), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count('did you mean model.mask_ratio?') == 1
    assert 'Traceback' not in done.stderr and 'ChildFailedError' not in done.stderr

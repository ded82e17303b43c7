"""The batch of a run against the batch that the learning rate belongs to."""

import math
import re

import pytest
from mmengine.config import Config
from mmengine.utils import is_installed

from greenmim_mm.compat.mmseg_name import find_mmseg_by_module
from greenmim_mm.engine.checks import check_learning_rate
from tests.tools.conftest import ROOT


def config(batch=256, counts=None, launcher='none', **scaling):
    optim_wrapper = dict(optimizer=dict(type='AdamW', lr=8e-4))
    if counts:
        optim_wrapper['accumulative_counts'] = counts
    return Config(dict(
        train_dataloader=dict(batch_size=batch), optim_wrapper=optim_wrapper, launcher=launcher,
        auto_scale_lr=scaling or dict(base_batch_size=2048),
    ))  # fmt: skip


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ('WORLD_SIZE', 'SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)


def test_another_batch_is_one_line_with_both_batches_both_rates_and_the_flag():
    (finding,) = check_learning_rate(config())
    assert finding.level == 'warning' and '\n' not in finding.message
    for word in ('256', '2,048', '0.0008', '0.0001', '--auto-scale-lr', '1 process x 256'):
        assert word in finding.message


@pytest.mark.parametrize('launcher,variable', [
    ('pytorch', 'WORLD_SIZE'), ('slurm', 'SLURM_NTASKS'), ('mpi', 'OMPI_COMM_WORLD_SIZE'),
])  # fmt: skip
def test_processes_are_counted(monkeypatch, launcher, variable):
    monkeypatch.setenv(variable, '8')
    assert check_learning_rate(config(launcher=launcher)) == []
    assert len(check_learning_rate(config())) == 1  # inside such a job, but alone
    monkeypatch.setenv(variable, '4')
    (finding,) = check_learning_rate(config(launcher=launcher))
    assert '1,024 (4 processes x 256)' in finding.message and '0.0004' in finding.message


def test_accumulation_is_counted():
    assert check_learning_rate(config(counts=8)) == []
    (finding,) = check_learning_rate(config(counts=2))
    assert '512 (1 process x 256 x 2 accumulated)' in finding.message


def test_nothing_is_said_where_nothing_is_known_or_the_rate_is_scaled():
    assert check_learning_rate(config(base_batch_size=2048, enable=True)) == []
    assert check_learning_rate(config(enable=False)) == []
    assert check_learning_rate(Config(dict(train_dataloader=dict(batch_size=2)))) == []


def documented_commands():
    """(page, processes, config, further arguments) of every command for training that is shown."""
    pages = [ROOT / 'README.md', *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/**/*.md'),
             *ROOT.glob('configs/*/*.py'), *ROOT.glob('tools/**/*.py')]  # fmt: skip
    command = re.compile(
        r'(?:NNODES=(?P<nodes>\d+).*|GPUS=(?P<gpus>\d+).*)?'
        r'(?:python tools/(?:train|analysis_tools/transfer_study)\.py|dist_train\.sh|'
        r'slurm_train\.sh \S+ \S+) '
        r'(?P<config>\S+\.py)(?: (?P<number>\d+))?(?P<more>[^\n`#]*)'
    )
    for page in pages:
        # continued lines joined, comment signs of headers away
        text = re.sub(r'\\+\n#?\s*', ' ', page.read_text())
        for found in command.finditer(text):
            numbers = [int(found[name] or 1) for name in ('nodes', 'gpus', 'number')]
            yield page.name, math.prod(numbers), found['config'], found['more']


def test_documented_commands_train_at_the_rate_of_their_batch(monkeypatch):
    find_mmseg_by_module()
    silent, seen = [], 0
    for page, processes, config, more in documented_commands():
        if config.rsplit('/')[-1].startswith('upernet') and not is_installed('mmseg'):
            continue
        seen += 1
        if '--auto-scale-lr' in more:
            continue
        if config == 'my_detector.py':  # the user's own, on one process
            silent.append((page, processes, config, more))
            continue
        cfg = Config.fromfile(ROOT / config)
        for key, value in re.findall(r'(\S+(?:batch_size|accumulative_counts))=(\d+)', more):
            cfg.merge_from_dict({key: int(value)})
        monkeypatch.setenv('WORLD_SIZE', str(processes))
        cfg.launcher = 'pytorch'
        silent += [(page, processes, config, more)] * len(check_learning_rate(cfg))
    assert seen > 60
    assert silent == []

"""Which errors are the user's to mend, and what is said about them."""

import os
import time

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from greenmim_mm.engine.checkpoint import save_atomically
from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.errors import run_or_explain
from greenmim_mm.sparsity import RandomMasking, unit_grid

PARTS = Registry('part of the test')


@PARTS.register_module()
class Part:
    def __init__(self, size=1):
        assert size != 3, 'size must not be 3'
        if size == 4:
            raise AssertionError
        if size == 5:
            raise RuntimeError('inside')
        self.size = size + 1


class Sizes(torch.utils.data.Dataset):
    """A data set whose sample fails: by a check of ours, or by accident."""

    def __init__(self, accident):
        self.accident = accident

    def __len__(self):
        return 1

    def __getitem__(self, i):
        return [][0] if self.accident else unit_grid((100, 100), 32)


def build(name, **arguments):
    return PARTS.build(dict(type=name, **arguments))


def raise_(error):
    raise error


def outcome(main, capsys, *expected):
    """Exit status and what is on stderr; None where the error keeps its traceback."""
    try:
        run_or_explain(main, *expected)
    except SystemExit as ended:
        return ended.code, capsys.readouterr().err
    except Exception:
        return None, ''
    return 0, capsys.readouterr().err


NO_GPU_MEMORY = 'CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has'
NOT_WRITTEN = '[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file'

MENDED = {
    'a check': (lambda: raise_(CheckError('two\nlines')), 'two\nlines'),
    'a file': (lambda: os.listdir('/nowhere/x'), '/nowhere/x'),
    'a refusal of ours': (lambda: RandomMasking(2.0), 'strictly between 0 and 1, got 2.0'),
    'a size': (lambda: unit_grid((100, 96), 32), 'of the mask unit (32 pixels), got (100, 96)'),
    'a size in a worker': (
        lambda: list(DataLoader(Sizes(False), num_workers=1)),
        'error: image size (height, width) must be positive multiples',
    ),
    'a class that is not there': (lambda: build('Gone'), 'Gone is not in'),
    'an unknown parameter': (
        lambda: build('Part', sise=1),
        "Part.__init__() got an unexpected keyword argument 'sise'",
    ),
    'a value of a wrong type': (lambda: build('Part', size='abc'), 'Part: '),
    'an assertion with a message': (lambda: build('Part', size=3), 'Part: size must not be 3'),
    'memory of a GPU': (
        lambda: raise_(torch.OutOfMemoryError(NO_GPU_MEMORY)),
        'out of memory.\nLess memory is needed with a smaller train_dataloader.batch_size',
    ),
    'a full disk': (
        lambda: raise_(OSError(28, 'No space left on device', 'out.pth')),
        'the disk is full: out.pth could not be written.',
    ),
    'a file that torch cannot write': (lambda: raise_(RuntimeError(NOT_WRITTEN)), 'disk is full.'),
    'a killed worker': (
        lambda: raise_(RuntimeError('DataLoader worker (pid 8) is killed by signal: Killed. ')),
        'killed by signal',
    ),
}


@pytest.mark.parametrize('name', MENDED)
def test_what_the_user_can_mend_ends_in_a_few_lines(name, capsys):
    main, message = MENDED[name]
    status, said = outcome(main, capsys)
    assert status == 2 and said.startswith('error: ') and message in said
    assert 'Traceback (most' not in said and len(said.splitlines()) <= 3


DEFECTS = {
    'an index': lambda: [][0],
    'a sum of two types': lambda: 1 + 'a',
    'an assertion without a message': lambda: build('Part', size=4),
    'an assertion outside of a build': lambda: raise_(AssertionError('inside')),
    'an error inside of a class': lambda: build('Part', size=5),
    'a shape': lambda: torch.ones(2, 3) @ torch.ones(2, 3),
    'an accident in a worker': lambda: list(DataLoader(Sizes(True), num_workers=1)),
    'an accident in our code': lambda: RandomMasking(None),
    'an attribute': lambda: None.x,
}


@pytest.mark.parametrize('name', DEFECTS)
def test_defects_keep_their_traceback(name, capsys):
    assert outcome(DEFECTS[name], capsys) == (None, '')


def test_a_command_may_name_further_errors_and_show_tracebacks(monkeypatch, capsys):
    assert outcome(DEFECTS['an index'], capsys, IndexError)[0] == 2
    monkeypatch.setenv('GREENMIM_TRACEBACK', '1')
    assert outcome(MENDED['a size'][0], capsys) == (None, '')


def test_without_a_run_the_traceback_is_in_a_file_that_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr('greenmim_mm.engine.errors.run_log', lambda: None)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    _, said = outcome(MENDED['a size'][0], capsys)
    (file,) = tmp_path.iterdir()
    assert said.splitlines()[-1] == f'The traceback is in {file}'
    assert 'Traceback (most recent call last)' in file.read_text()
    _, said = outcome(MENDED['a check'][0], capsys)
    assert said == 'error: two\nlines\n' and len(list(tmp_path.iterdir())) == 1


def test_processes_after_the_first_leave_it_to_speak(monkeypatch, capsys):
    waited = []
    monkeypatch.setattr(time, 'sleep', waited.append)
    monkeypatch.setenv('RANK', '0')
    assert outcome(MENDED['a check'][0], capsys)[0] == 2 and waited == []
    monkeypatch.setenv('RANK', '1')
    assert outcome(MENDED['a check'][0], capsys)[0] == 2 and waited == [5]


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.layer(torch.stack(inputs)).mean())


def test_a_full_disk_names_the_last_whole_checkpoint(monkeypatch, tmp_path, capsys):
    """The second checkpoint does not fit: the first one stays, and is named."""
    save_atomically()
    replace = os.replace

    def full(source, target):
        if str(target).endswith('epoch_2.pth'):
            raise OSError(28, 'No space left on device')
        replace(source, target)

    monkeypatch.setattr(os, 'replace', full)

    def main():
        Runner(
            Model(), str(tmp_path),
            train_dataloader=dict(dataset=[dict(inputs=torch.ones(1))] * 2, batch_size=1,
                                  sampler=dict(type='DefaultSampler')),
            train_cfg=dict(by_epoch=True, max_epochs=3),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
            experiment_name='full_disk',
        ).train()  # fmt: skip

    status, said = outcome(main, capsys)
    first, second = (tmp_path / f'epoch_{number}.pth' for number in (1, 2))
    (log,) = tmp_path.glob('*/*.log')
    assert status == 2
    assert said.splitlines()[-3:] == [
        f'error: the disk is full: {second} could not be written.',
        f'The last whole checkpoint is {first}; --resume goes on from it.',
        f'The traceback is in {log}',
    ]
    assert log.read_text().rstrip().endswith(f"No space left on device: '{second}'")
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']

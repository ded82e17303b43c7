import os
import signal
import subprocess
import sys
import time

import pytest
from mmengine.fileio import get_file_backend

from greenmim_mm.engine.checkpoint import AtomicLocalBackend, latest_checkpoint, save_atomically


def test_registered_for_local_files(tmp_path):
    save_atomically()
    backend = get_file_backend(str(tmp_path))
    assert isinstance(backend, AtomicLocalBackend)
    backend.put(b'one', str(tmp_path / 'deep' / 'file'))
    backend.put(b'two', str(tmp_path / 'deep' / 'file'))
    assert (tmp_path / 'deep' / 'file').read_bytes() == b'two'
    assert os.listdir(tmp_path / 'deep') == ['file']


def test_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / 'file'
    target.write_bytes(b'old')
    with pytest.raises(TypeError):
        AtomicLocalBackend().put('not bytes', str(target))
    assert target.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_kill_while_writing_never_leaves_half_a_file(tmp_path):
    """A process writes large files over and over and is killed at some moment."""
    code = """
import sys
from greenmim_mm.engine.checkpoint import AtomicLocalBackend
backend, number = AtomicLocalBackend(), 0
while True:
    number = (number + 1) % 250
    backend.put(bytes([number]) * 20_000_000, sys.argv[1])
    print('.', flush=True)
"""
    target = tmp_path / 'epoch_1.pth'
    for delay in (0.01, 0.05, 0.09):
        process = subprocess.Popen(
            [sys.executable, '-c', code, str(target)], stdout=subprocess.PIPE
        )
        process.stdout.read(1)  # one is written
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = target.read_bytes()
        assert len(content) == 20_000_000 and len(set(content[::99991])) == 1


@pytest.mark.parametrize('pointer', [None, '', 'gone/epoch_9.pth'])
def test_latest_checkpoint_without_a_good_pointer(tmp_path, pointer):
    for name in ('epoch_2.pth', 'epoch_10.pth', 'best_epoch_11.pth', '.epoch_12.pthx'):
        (tmp_path / name).touch()
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_text(pointer)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_10.pth')


def test_latest_checkpoint_by_pointer_and_in_a_moved_folder(tmp_path):
    (tmp_path / 'epoch_2.pth').touch()
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'last_checkpoint').write_text('/old/place/epoch_2.pth')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')


def test_no_checkpoint(tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    assert latest_checkpoint(str(tmp_path / 'nowhere')) is None

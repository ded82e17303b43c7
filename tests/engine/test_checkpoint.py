import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from mmengine.fileio import get_file_backend

from greenmim_mm.engine.checkpoint import (
    AtomicLocalBackend,
    latest_checkpoint,
    remove_leftovers,
    save_atomically,
)
from greenmim_mm.engine.checks import CheckError


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


def test_a_copied_folder_goes_on_from_its_own_file(tmp_path):
    original, copy = tmp_path / 'original', tmp_path / 'copy'
    original.mkdir()
    for name in ('epoch_2.pth', 'epoch_3.pth'):
        (original / name).touch()
    (original / 'last_checkpoint').write_text(str(original / 'epoch_2.pth'))
    shutil.copytree(original, copy)
    assert latest_checkpoint(str(original)) == str(original / 'epoch_2.pth')
    assert latest_checkpoint(str(copy)) == str(copy / 'epoch_2.pth')
    (copy / 'epoch_2.pth').unlink()  # still its own, although the original has the named one
    assert latest_checkpoint(str(copy)) == str(copy / 'epoch_3.pth')


def test_checkpoints_in_another_folder(tmp_path):
    """``default_hooks.checkpoint.out_dir`` keeps them elsewhere."""
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / 'epoch_2.pth').touch()
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'last_checkpoint').write_text(str(tmp_path / 'elsewhere' / 'epoch_2.pth'))
    found = latest_checkpoint(str(tmp_path / 'run'), elsewhere=True)
    assert found == str(tmp_path / 'elsewhere' / 'epoch_2.pth')
    with pytest.raises(CheckError, match=r'lies in another folder.*--resume \S*elsewhere/epoch_2'):
        latest_checkpoint(str(tmp_path / 'run'))  # a copied folder without its checkpoints


@pytest.mark.parametrize('pointer', ['', '/old/place/epoch_2.pth'])
def test_a_lost_checkpoint_is_an_error(tmp_path, pointer):
    (tmp_path / 'last_checkpoint').write_text(pointer)
    with pytest.raises(CheckError, match=r'last_checkpoint names .*, which is not there'):
        latest_checkpoint(str(tmp_path))


def test_no_checkpoint(tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    assert latest_checkpoint(str(tmp_path / 'nowhere')) is None


def test_a_killed_save_leaves_nothing_behind(tmp_path):
    """A save is killed before it renames; the next start deletes its file, and no other."""
    code = """
import os, sys
from greenmim_mm.engine.checkpoint import AtomicLocalBackend
os.replace = lambda *names: os.kill(os.getpid(), 9)
AtomicLocalBackend().put(b'half', sys.argv[1])
"""
    target = tmp_path / 'epoch_1.pth'
    subprocess.run([sys.executable, '-c', code, str(target)], check=False)
    assert len(os.listdir(tmp_path)) == 1 and not target.exists()
    for name in ('.hidden.tmp', 'epoch_1.pth', 'notes.being-written-by-me'):
        (tmp_path / name).touch()
    (removed,) = remove_leftovers(str(tmp_path))
    assert removed.startswith('.epoch_1.pth')
    assert sorted(os.listdir(tmp_path)) == [
        '.hidden.tmp', 'epoch_1.pth', 'notes.being-written-by-me'
    ]  # fmt: skip
    assert remove_leftovers(str(tmp_path / 'nowhere')) == []

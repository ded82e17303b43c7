"""Checkpoints that are whole or not there."""

import os
import os.path as osp
import re
import tempfile
from typing import Optional

from mmengine.fileio import LocalBackend, register_backend


class AtomicLocalBackend(LocalBackend):
    """mmengine's local backend, writing beside the target and renaming.

    A process that is killed while it saves leaves the older file, or none,
    but never a half-written one.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        folder = osp.dirname(osp.abspath(filepath))
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix='.' + osp.basename(filepath), dir=folder)
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, filepath)
        except BaseException as error:
            os.unlink(temporary)
            if isinstance(error, OSError):
                error.filename = filepath  # write() does not say where the disk is full
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_atomically() -> None:
    """Let mmengine write local files (checkpoints above all) through a rename."""
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')


def latest_checkpoint(work_dir: str) -> Optional[str]:
    """The newest checkpoint of a run, by its ``last_checkpoint`` file or by number.

    mmengine writes ``last_checkpoint`` after the checkpoint and not atomically; if
    it is missing, empty or names a file that is gone, the highest numbered
    ``epoch_N.pth`` or ``iter_N.pth`` counts.

    Returns:
        str | None: None where the folder has no checkpoint.
    """
    pointer = osp.join(work_dir, 'last_checkpoint')
    if osp.isfile(pointer):
        with open(pointer) as file:
            named = file.read().strip()
        for candidate in (named, osp.join(work_dir, osp.basename(named))):
            if named and osp.isfile(candidate):
                return candidate
    found = []
    for name in os.listdir(work_dir) if osp.isdir(work_dir) else ():
        match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', name)
        if match:
            found.append((int(match[1]), name))
    return osp.join(work_dir, max(found)[1]) if found else None

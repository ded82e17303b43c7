"""Checkpoints that are whole or not there."""

import os
import os.path as osp
import re
import tempfile
from typing import List, Optional

from mmengine.fileio import LocalBackend, register_backend

from .checks import CheckError

LEFTOVER = '.being-written-'  # in the names of temporary files


class AtomicLocalBackend(LocalBackend):
    """mmengine's local backend, writing beside the target and renaming.

    A process that is killed while it saves leaves the older file, or none,
    but never a half-written one.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        folder = osp.dirname(osp.abspath(filepath))
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f'.{osp.basename(filepath)}{LEFTOVER}', suffix='.tmp', dir=folder
        )
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


def latest_checkpoint(work_dir: str, elsewhere: bool = False) -> Optional[str]:
    """The newest checkpoint of a run: the one its ``last_checkpoint`` file names, or by number.

    mmengine writes ``last_checkpoint`` after the checkpoint and not atomically. A file of the
    folder itself goes before one elsewhere, so that a copied folder goes on by itself: the
    name in ``last_checkpoint``, then the highest ``epoch_N.pth`` or ``iter_N.pth``, then, if
    checkpoints are kept in another folder, the whole path in ``last_checkpoint``.

    Args:
        work_dir (str): Folder of the run.
        elsewhere (bool): Whether the run keeps its checkpoints in another folder
            (``default_hooks.checkpoint.out_dir``). Defaults to False.

    Returns:
        str | None: None where the folder has no checkpoint and never had one.

    Raises:
        CheckError: If ``last_checkpoint`` is there and no checkpoint of this run is.
    """
    pointer = osp.join(work_dir, 'last_checkpoint')
    named = ''
    if osp.isfile(pointer):
        with open(pointer) as file:
            named = file.read().strip()
    own = osp.join(work_dir, osp.basename(named))
    if named and osp.isfile(own):
        return own
    found = []
    for name in os.listdir(work_dir) if osp.isdir(work_dir) else ():
        match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', name)
        if match:
            found.append((int(match[1]), name))
    if found:
        return osp.join(work_dir, max(found)[1])
    there = named and osp.isfile(named)
    if there and elsewhere:
        return named
    if osp.isfile(pointer):
        what = 'which lies in another folder' if there else 'which is not there'
        mend = f'To go on from it: --resume {named}. Else' if there else 'Bring it back, or'
        raise CheckError(
            f'--resume: {pointer} names {named or "nothing"}, {what}, and {work_dir} has no other '
            f'checkpoint. {mend} start anew without --resume or with another --work-dir'
        )
    return None


def remove_leftovers(work_dir: str) -> List[str]:
    """Delete what a save that was killed left behind.

    Returns:
        List[str]: Names of the deleted files.
    """
    names = [
        name
        for name in (os.listdir(work_dir) if osp.isdir(work_dir) else ())
        if re.fullmatch(r'\..+\.tmp', name) and LEFTOVER in name
    ]
    for name in names:
        os.unlink(osp.join(work_dir, name))
    return names

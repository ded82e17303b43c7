"""How a command ends: what is the user's to mend is said in a few lines, without a traceback."""

import contextlib
import gc
import linecache
import logging
import os
import os.path as osp
import re
import sys
import tempfile
import time
import traceback
from errno import ENOSPC
from typing import Callable, Optional

import torch
from mmengine.logging import MMLogger
from torch import distributed

from .checkpoint import latest_checkpoint
from .checks import CheckError
from .processes import process_number

_ALWAYS = (CheckError, OSError, FloatingPointError, torch.OutOfMemoryError)
_REFUSALS = (ValueError, TypeError, LookupError, ImportError, NotImplementedError)
# of a `raise` in these, a refusal is about what they were given
_PACKAGES = ('greenmim_mm', '__main__', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'mmseg')
_SECONDS_FOR_THE_FIRST = 5  # that another process leaves the first one to speak
_MEMORY_ADVICE = (
    'Less memory is needed with a smaller train_dataloader.batch_size (and --auto-scale-lr), with '
    'model.backbone.with_cp=True, or with --amp.'
)


def run_or_explain(main: Callable[[], None], *expected: type) -> None:
    """Run a command; an error that the user can mend ends it with a few lines and exit status 2.

    Which errors those are, :func:`is_mendable` says. Their traceback goes to the log file of the
    run, or to a file that the message names. Any other error is a defect: it keeps its
    traceback, and the exit status is 1. ``GREENMIM_TRACEBACK=1`` shows every traceback.

    Of several processes that fail alike, the first one speaks.

    Args:
        main (Callable): The command.
        *expected (type): Further errors that are the user's to mend.
    """
    try:
        main()
    except Exception as error:
        if os.environ.get('GREENMIM_TRACEBACK') or not (
            isinstance(error, expected) or is_mendable(error)
        ):
            raise
        if process_number() > 0:  # the launcher ends this process if the first one fails, too
            time.sleep(_SECONDS_FOR_THE_FIRST)
        print(f'error: {explain(error)}', file=sys.stderr)
        sys.exit(2)
    leave_process_group()


def is_mendable(error: BaseException) -> bool:
    """Whether the user can mend an error: by another argument, config, file or machine.

    These can be mended:

    - what a check found (``CheckError``), files and disks (``OSError``), memory of a GPU, a loss
      that is no number;
    - a ``ValueError``, ``TypeError``, ``LookupError``, ``ImportError`` or ``NotImplementedError``
      that a ``raise`` of this package or of OpenMMLab's made, also in a process that loads data:
      they refuse what they were given. The same errors by accident (``x[3]``, ``1 + 'a'``) are
      defects;
    - these errors of any origin, and an ``AssertionError`` with a message, while a registered
      class is built from the config: its values do not fit the class;
    - a process that loads data and was killed, and a file that torch could not write.

    Args:
        error (BaseException): With its traceback.
    """
    if isinstance(error, _ALWAYS):
        return True
    if isinstance(error, RuntimeError):
        return _of_the_machine(error)
    frames = list(traceback.walk_tb(error.__traceback__))
    if _built_class(error) is not None:
        return isinstance(error, _REFUSALS) or (
            isinstance(error, AssertionError) and bool(str(error))
        )
    if not (isinstance(error, _REFUSALS) or type(error) is Exception):
        return False
    if (in_worker := _of_a_worker(error)) is not None:
        return in_worker
    frame, line = frames[-1] if frames else (None, 0)
    if frame is None or frame.f_globals.get('__name__', '').split('.')[0] not in _PACKAGES:
        return False
    return linecache.getline(frame.f_code.co_filename, line).lstrip().startswith('raise')


def _built_class(error: BaseException) -> Optional[str]:
    """Name of the innermost class that a registry was building, or None."""
    name = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get('__name__') == 'mmengine.registry.build_functions':
            kind = frame.f_locals.get('obj_cls')
            name = getattr(kind, '__name__', None) or name or 'the registry'
    return name


def _of_the_machine(error: RuntimeError) -> bool:
    text = str(error)
    return 'PytorchStreamWriter' in text or bool(
        re.search(r'DataLoader worker .*(killed by signal|exited unexpectedly)', text)
    )


def _of_a_worker(error: BaseException) -> Optional[bool]:
    """Whether a package of ours raised an error in a process that loads data; None: no such."""
    if 'Original Traceback' not in str(error):
        return None
    places = re.findall(r'File "([^"]+)", line \d+, in .*\n\s+(.*)', str(error))
    if not places:
        return False
    file, source = places[-1]
    return source.startswith('raise') and any(f'{os.sep}{p}{os.sep}' in file for p in _PACKAGES)


def explain(error: BaseException) -> str:
    """An error in a few lines: what is wrong, advice, and where the traceback is."""
    lines = [_message(error)]
    log = run_log()
    full = getattr(error, 'errno', None) == ENOSPC or 'PytorchStreamWriter' in str(error)
    if full:
        last = None
        with contextlib.suppress(CheckError):  # it was lost; that is not what ended this run
            last = latest_checkpoint(osp.dirname(osp.dirname(log))) if log else None
        if last:
            lines.append(f'The last whole checkpoint is {last}; --resume goes on from it.')
        elif log:
            lines.append('No checkpoint was written before.')
    if isinstance(error, torch.OutOfMemoryError):
        lines.append(_MEMORY_ADVICE)
    if log or not isinstance(error, CheckError):
        file = _keep_traceback(error, log)
        lines += [f'The traceback is in {file}'] * (file is not None)
    return '\n'.join(lines)


def _message(error: BaseException) -> str:
    text = str(error).strip()
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])  # str() of it has quotes around
    if 'Original Traceback' in text:
        text = text.splitlines()[-1].split(': ', 1)[-1]
    if isinstance(error, torch.OutOfMemoryError):
        text = text.split('. ')[0] + '.'
    if getattr(error, 'errno', None) == ENOSPC or 'PytorchStreamWriter' in text:
        place = getattr(error, 'filename', None)
        return f'the disk is full{f": {place} could not be written" if place else ""}.'
    kind = type(error).__name__
    built = None if isinstance(error, (CheckError, OSError)) else _built_class(error)
    if built and built not in text:
        text = f'{built}: {text}'
    return text or kind


def run_log() -> Optional[str]:
    """The log file of the run of this process, if it has begun."""
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            return handler.baseFilename
    return None


def _keep_traceback(error: BaseException, log: Optional[str]) -> Optional[str]:
    """Write the traceback behind a log, or into a file of its own; the file, or None."""
    text = ''.join(traceback.format_exception(error))
    for folder in ('log', 'own'):
        try:
            if folder == 'log' and log:
                with open(log, 'a') as file:
                    file.write(text)
                return log
            if folder == 'own':
                with tempfile.NamedTemporaryFile(
                    'w', prefix='greenmim_mm_', suffix='.log', delete=False
                ) as file:
                    file.write(text)
                return file.name
        except OSError:  # of a full disk, for example
            continue
    return None


def leave_process_group() -> None:
    """End distributed training in order.

    A thread of gloo that is still busy when the interpreter ends aborts the process, so that
    a run that had finished ends with an error (pytorch/pytorch#179291). Leaving the group waits for
    its threads, if nothing else holds the group: the model does, inside the cycles of a runner,
    which are collected first. Only for runs that succeeded: to leave while others wait can hang.
    """
    if distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()

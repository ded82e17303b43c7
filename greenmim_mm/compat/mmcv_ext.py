"""Serves ``mmcv._ext`` from torchvision where mmcv has no compiled operators.

mmcv's Python layer (``mmcv/ops/*.py``) calls into the extension module
``mmcv._ext``. A finder at the *end* of ``sys.meta_path`` answers for that one
name, so it is asked only after Python's own search has found no compiled
``mmcv._ext``: a real one always wins.

Consequence: ``import greenmim_mm`` before ``import mmcv.ops`` (or ``mmdet``) is
all it takes; nothing is compiled and no file is written.
"""

import importlib.abc
import importlib.machinery
import sys

_NAME = 'mmcv._ext'


class _ServedExtension(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finder and loader of the served ``mmcv._ext``."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != _NAME:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin='greenmim_mm.compat')

    def create_module(self, spec):
        return None  # an ordinary module

    def exec_module(self, module):
        from . import mmcv_ops  # torch and torchvision are loaded only here

        for name in mmcv_ops.SERVED:
            setattr(module, name, getattr(mmcv_ops, name))
        module.__getattr__ = mmcv_ops.not_served


def install_mmcv_ext() -> None:
    """Make ``mmcv._ext`` importable; does nothing when called again."""
    if not any(isinstance(finder, _ServedExtension) for finder in sys.meta_path):
        sys.meta_path.append(_ServedExtension())

"""Lets ``_base_ = 'mmseg::...'`` find the maintained distribution of MMSegmentation."""

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import is_installed


def find_mmseg_by_module() -> None:
    """mmengine asks for a distribution called ``mmsegmentation``; ask for the module instead.

    ``onedl-mmsegmentation`` has the module and not the name. Does nothing where
    the original is installed, or neither.
    """
    if not is_installed('mmsegmentation') and is_installed('mmseg'):
        MODULE2PACKAGE['mmseg'] = 'mmseg'

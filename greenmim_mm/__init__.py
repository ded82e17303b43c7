"""GreenMIM's hierarchical encoders as MMPretrain and MMDetection components.

Importing this package is cheap: it loads neither torch nor any mm package. It
only makes sure that ``mmcv.ops`` can be imported where mmcv was installed
without compiled operators (see :mod:`greenmim_mm.compat.mmcv_ext`).
"""

from .compat.mmcv_ext import install_mmcv_ext
from .version import __version__

install_mmcv_ext()

__all__ = ['__version__']

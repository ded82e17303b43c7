"""Unlabelled images; transforms and checks around MMPretrain's and MMDetection's datasets."""

from .decoding import decode
from .errors import PictureError, ValueRangeError
from .formats import EXTENSIONS
from .loading import LoadImage
from .sources import find_images
from .unlabelled_images import UnlabelledImages

__all__ = [
    'EXTENSIONS',
    'LoadImage',
    'PictureError',
    'UnlabelledImages',
    'ValueRangeError',
    'decode',
    'find_images',
]

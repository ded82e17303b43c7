"""Unlabelled images; transforms and checks around MMPretrain's and MMDetection's datasets."""

from .decoding import decode
from .formats import EXTENSIONS
from .loading import LoadImage, reading_options
from .sources import find_images
from .unlabelled_images import UnlabelledImages

__all__ = [
    'EXTENSIONS',
    'LoadImage',
    'UnlabelledImages',
    'decode',
    'find_images',
    'reading_options',
]

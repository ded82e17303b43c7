"""Unlabelled images; transforms and checks around MMPretrain's and MMDetection's datasets."""

from .loading import LoadImage
from .unlabelled_images import EXTENSIONS, UnlabelledImages, find_images

__all__ = ['EXTENSIONS', 'LoadImage', 'UnlabelledImages', 'find_images']

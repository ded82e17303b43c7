"""Unlabelled images; transforms and checks around MMPretrain's and MMDetection's datasets."""

from .check import check_datasets
from .loading import LoadImage
from .unlabelled_images import UnlabelledImages

__all__ = ['LoadImage', 'UnlabelledImages', 'check_datasets']

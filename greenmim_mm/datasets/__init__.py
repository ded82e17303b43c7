"""Transforms and checks around the datasets of MMPretrain and MMDetection."""

from .check import check_datasets
from .loading import LoadImage

__all__ = ['LoadImage', 'check_datasets']

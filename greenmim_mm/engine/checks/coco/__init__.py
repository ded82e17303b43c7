"""Annotation files in COCO's format, as people write them."""

from .categories import compare_categories
from .checker import CocoChecker
from .entries import read
from .problems import PROBLEMS

__all__ = ['PROBLEMS', 'CocoChecker', 'compare_categories', 'read']

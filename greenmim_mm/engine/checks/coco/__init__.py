"""Annotation files in COCO's format, as people write them."""

from .categories import compare_categories, rename
from .checker import CocoChecker, look_at_some
from .entries import read
from .problems import PROBLEMS

__all__ = ['PROBLEMS', 'CocoChecker', 'compare_categories', 'look_at_some', 'read', 'rename']

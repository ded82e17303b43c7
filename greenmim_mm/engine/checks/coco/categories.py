"""The categories of two annotation files that are used together."""

from pathlib import Path
from typing import Tuple

from ..class_names import difference
from .checker import CocoChecker
from .entries import read


def compare_categories(checker: CocoChecker, other: Path) -> Tuple[dict, str]:
    """Bring the categories of a file into the order of another's.

    Args:
        checker (CocoChecker): Of the file.
        other (Path): The other file, usually that of the training set.

    Returns:
        Tuple[dict, str]: The mended file with the other's categories and ids, after them those that
        only this file has; and how the two differ, '' if they do not.
    """
    theirs = CocoChecker(read(other), with_masks=False).fixed['categories']
    ours = checker.fixed['categories']
    names = [category['name'] for category in theirs]
    told = difference([c['name'] for c in ours], names, 'this file', str(other))
    if told:
        told = f'The categories differ from those of {other}.\n{told}'
    ids = {category['name']: category['id'] for category in theirs}
    free = max(ids.values(), default=0) + 1
    more = []
    for category in ours:
        if category['name'] not in ids:
            ids[category['name']] = free
            more.append({**category, 'id': free})
            free += 1
    new = {category['id']: ids[category['name']] for category in ours}
    annotations = [
        {**a, 'category_id': new[a['category_id']]} for a in checker.fixed['annotations']
    ]
    return {**checker.fixed, 'categories': [*theirs, *more], 'annotations': annotations}, told

"""The categories of two annotation files that are used together."""

from difflib import get_close_matches
from pathlib import Path
from typing import Dict, List, Tuple

from ..class_names import difference
from ..finding import CheckError
from .checker import CocoChecker
from .entries import read


def rename(data: dict, names: Dict[str, str]) -> dict:
    """The file with other names of categories.

    Args:
        data (dict): The parsed file.
        names (Dict[str, str]): New name by the name in the file.

    Raises:
        CheckError: If the file has no category of such a name.
    """
    known = [str(category.get('name')) for category in data['categories']]
    for name in names:
        if name not in known:
            raise CheckError(f'no category {name!r} to rename; there are {", ".join(known)}')
    categories = [
        {**c, 'name': names.get(str(c.get('name')), c.get('name'))} for c in data['categories']
    ]
    return {**data, 'categories': categories} if names else data


def compare_categories(
    checker: CocoChecker, other: Path, settled: Tuple[str, ...] = ()
) -> Tuple[dict, str, str]:
    """Bring the categories of a file into the order of another's.

    A name that differs from one of the other file by case and blanks alone becomes that one.

    Args:
        checker (CocoChecker): Of the file.
        other (Path): The other file, usually that of the training set.
        settled (Tuple[str, ...]): Names that are right, however near another one they are. Defaults
            to ().

    Returns:
        Tuple[dict, str, str]: The mended file with the other's categories and ids, after them those
        that only this file has; how the two differ, '' if they do not; and which names may be
        misspelt, so that the mended file must not be used, '' if there are none.
    """
    theirs = CocoChecker(read(other), with_masks=False).fixed['categories']
    ours = checker.fixed['categories']
    names = [category['name'] for category in theirs]
    told = difference([c['name'] for c in ours], names, 'this file', str(other))
    if told:
        told = f'The categories differ from those of {other}.\n{told}'
    ids = {category['name']: category['id'] for category in theirs}
    doubts: List[str] = []
    for name in [c['name'] for c in ours if c['name'] not in ids and c['name'] not in settled]:
        near, sure = _near(name, [c['name'] for c in ours], names)
        if sure:
            told += f'\n--fix renames {name!r} to {near!r}'
            ids[name] = ids[near]
        elif near:
            doubts.append(f'{name!r} is near {near!r} of {other}')
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
    fixed = {**checker.fixed, 'categories': [*theirs, *more], 'annotations': annotations}
    return fixed, told, '; '.join(doubts)


def _near(name: str, ours: List[str], theirs: List[str]) -> Tuple[str, bool]:
    """What a name of this file alone may mean, '' for nothing; and whether that is certain."""
    alike = [word for word in theirs if _plain(word) == _plain(name)]
    if alike:
        ours_alike = sum(_plain(word) == _plain(name) for word in ours)
        return alike[0], len(alike) == ours_alike == 1
    plain = {_plain(word): word for word in theirs if word not in ours}
    return next((plain[word] for word in get_close_matches(_plain(name), plain, 1)), ''), False


def _plain(name: str) -> str:
    """Without what people write in several ways."""
    return ''.join(name.casefold().replace('_', ' ').split()) or name

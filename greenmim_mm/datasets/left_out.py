"""What a search for pictures does not take, for its messages."""

import os
import os.path as osp
from collections import Counter
from typing import Dict, Set, Tuple


def printable(path: str) -> str:
    """A path for a message, whatever bytes its name holds."""
    return os.fsencode(path).decode('utf-8', 'backslashreplace')


class LeftOut:
    """What a search has left out: how often, each name once, and the first of each kind."""

    def __init__(self) -> None:
        self.numbers: Counter = Counter()
        self.first: Dict[str, str] = {}
        self._names: Set[Tuple[str, str]] = set()
        self._real_folders: Dict[str, str] = {}

    def add(self, kind: str, path: str) -> None:
        """Count one more, unless another source has led to the same name already."""
        folder, name = osp.split(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = osp.realpath(folder)
        key = kind, osp.join(self._real_folders[folder], name)
        if key in self._names:
            return
        self._names.add(key)
        self.numbers[kind] += 1
        self.first.setdefault(kind, path)

    def __str__(self) -> str:
        return '; '.join(
            f'{number:,} {kind} (first {printable(self.first[kind])})'
            for kind, number in self.numbers.most_common()
        )

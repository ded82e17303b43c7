"""A set of texts that loading workers share."""

from hashlib import blake2b
from typing import Optional, Tuple

import torch

_TRIES = 64


class SharedSet:
    """Remembers which texts were seen, over all processes that got a copy of it.

    It holds hashes of 64 bits in a table of a fixed size in shared memory, without a lock: two
    processes that add the same text at the same moment may both find it new. A full table
    finds nothing new any more. Good for messages that should be said once.

    Args:
        size (int): Texts it can hold, roughly. Defaults to 16,384 (128 KiB).
    """

    def __init__(self, size: int = 2**14) -> None:
        self._table = torch.zeros(size, dtype=torch.int64).share_memory_()

    def add(self, text: str) -> bool:
        """Whether ``text`` was new."""
        place, found = self._look_for(text)
        if place is None or found:
            return False
        self._table[place] = self._key(text)
        return True

    def __contains__(self, text: str) -> bool:
        return self._look_for(text)[1]

    @staticmethod
    def _key(text: str) -> int:
        digest = blake2b(text.encode('utf-8', 'surrogateescape'), digest_size=8).digest()
        return int.from_bytes(digest, 'little', signed=True) or 1  # 0 is an empty place

    def _look_for(self, text: str) -> Tuple[Optional[int], bool]:
        """The place of a text, or a free one (None: there is none), and whether it is there."""
        key = self._key(text)
        for i in range(_TRIES):
            place = (key + i) % len(self._table)
            found = int(self._table[place])
            if found in (0, key):
                return place, found == key
        return None, False

"""A set of texts that loading workers share."""

from hashlib import blake2b

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
        digest = blake2b(text.encode('utf-8', 'surrogateescape'), digest_size=8).digest()
        key = int.from_bytes(digest, 'little', signed=True) or 1  # 0 is an empty place
        for i in range(_TRIES):
            place = (key + i) % len(self._table)
            found = int(self._table[place])
            if found == key:
                return False
            if found == 0:
                self._table[place] = key
                return True
        return False

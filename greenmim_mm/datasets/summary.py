"""What a data set of pictures looks like, from a sample of its files: for the log, once."""

import os.path as osp
from collections import Counter
from typing import Dict, List, Optional, Set, Tuple

import numpy as np

from .brightness import (
    DeepValues,
    black_and_white,
    deep_colours,
    deep_values,
    is_deep_grey,
    seen_range,
)
from .errors import PictureError, ValueRangeError
from .loading import LoadImage
from .opening import MAX_PIXELS, Opened, open_picture
from .sources import printable

_READ = 20  # pictures of more than 8 bits whose values are read
_CAMERAS = (10, 12, 14)  # bits


class Brightness:
    """Values that pictures of more than 8 bits hold, and what becomes of them.

    Args:
        loader (LoadImage): The transform that reads them.
        place (int): Its place in the pipeline, for the option's name.
    """

    def __init__(self, loader: LoadImage, place: int) -> None:
        self.loader = loader
        self.option = f'train_dataloader.dataset.pipeline.{place}.value_range'
        self.seen: Dict[str, List[Tuple[float, float]]] = {}
        self.whole: Set[str] = set()  # kinds that are read from 0 to 65,535
        self.number = 0

    def look(self, path: str, opened: Opened) -> None:
        """Read the values of a picture, if it has more than 8 bits.

        Raises:
            ValueRangeError: If they have no scale, with the name of the picture and the option.
        """
        colour = ';16' in opened.raw and not opened.image.mode.startswith('I')
        if not (colour or is_deep_grey(opened.image)):
            return
        self.number += 1
        if self.number > _READ:
            return
        deep = _colours(path) if colour else deep_values(open_picture(path, self.loader.max_pixels))
        if deep is None:
            if self.loader.value_range is not None:
                raise ValueError('16 bits per channel that cannot be read with a value_range')
            return  # Pillow's upper 8 bits are all that can be read, and all that is needed
        smallest, largest = seen_range(deep.values)
        try:
            low, high = black_and_white(deep, self.loader.value_range)
        except ValueRangeError as error:
            raise ValueRangeError(
                f'image {printable(path)}: {error}: --cfg-options '
                f'{self.option}={smallest:.6g},{largest:.6g}, or wider'
            ) from error
        kind = f'{deep.kind} (black at {low:,.6g}, white at {high:,.6g})'
        if self.loader.value_range is None and (deep.kind, high) == ('uint16', 65535):
            self.whole.add(kind)
        self.seen.setdefault(kind, []).append((smallest, largest))

    def __str__(self) -> str:
        parts = []
        for kind, ranges in self.seen.items():
            smallest, largest = min(low for low, _ in ranges), max(high for _, high in ranges)
            text = (
                f'{kind} with values from {smallest:,.6g} to {largest:,.6g} in {len(ranges)} read'
            )
            bits = next((bits for bits in _CAMERAS if largest < 2**bits), None)
            if kind in self.whole and bits:
                text += (
                    f': if these are of a {bits}-bit camera, '
                    f'--cfg-options {self.option}=0,{2**bits - 1}'
                )
            parts.append(text)
        return f'{self.number} of more than 8 bits: {"; ".join(parts)}'


def _colours(path: str) -> Optional[DeepValues]:
    """Colours of 16 bits; None where only Pillow can read them."""
    with open(path, 'rb') as file:
        content = file.read()
    try:
        return DeepValues(deep_colours(content)[..., :3], 'uint16', (0.0, 65535.0), False)
    except ValueError:
        return None


def summarise(paths: List[str], sample: int, pipeline: Optional[list] = None) -> str:
    """Kinds of all files; sizes, modes and brightness of a sample of them.

    Args:
        paths (List[str]): Of the pictures.
        sample (int): Files that are looked at, spread over all; 0: none.
        pipeline (list, optional): Transforms. Brightness is looked at if there is a
            :class:`LoadImage` among them. Defaults to None.

    Raises:
        PictureError: If none of the sample can be read, or brightness has no scale.
    """
    kinds = Counter(osp.splitext(path)[1].lower() for path in paths)
    text = ', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())
    chosen = np.linspace(0, len(paths) - 1, min(sample, len(paths))).astype(int)
    loaders = [
        Brightness(transform, place)
        for place, transform in enumerate(pipeline or [])
        if isinstance(transform, LoadImage) and transform.decodes
    ]
    max_pixels = loaders[0].loader.max_pixels if loaders else MAX_PIXELS
    sizes, modes, broken, reason = [], Counter(), [], None
    for path in (paths[i] for i in chosen):
        try:
            opened = open_picture(path, max_pixels, pixels=False)
            with opened.image as image:
                size, mode = image.size, image.mode
                for brightness in loaders:
                    brightness.look(path, opened)
        except ValueRangeError:
            raise
        except Exception as error:  # Pillow raises many kinds; LoadImage reports them in full
            broken.append(path)
            reason = reason or error
            continue
        sizes.append(size)
        modes[mode] += 1
    if broken and not sizes:
        raise PictureError(
            f'none of {len(broken):,} pictures looked at can be read, first '
            f'{printable(broken[0])} ({reason})'
        )
    if sizes:
        width, height = np.array(sizes).T
        text += (
            f'; of {len(chosen):,} looked at: width {width.min()} to {width.max()} (median '
            f'{np.median(width):.0f}), height {height.min()} to {height.max()} (median '
            f'{np.median(height):.0f}), modes '
            + ', '.join(f'{mode} {number}' for mode, number in modes.most_common())
        )
    if broken:
        text += f'; {len(broken)} unreadable, first {printable(broken[0])}'
    return text + ''.join(f'; {brightness}' for brightness in loaders if brightness.number)

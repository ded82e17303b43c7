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
    share_outside,
)
from .errors import PictureError, ValueRangeError
from .loading import LoadImage
from .opening import MAX_PIXELS, Opened, open_picture
from .sources import printable

_READ = 20  # pictures of each kind of more than 8 bits whose values are read
_LOST = 0.99  # share of a kind outside value_range, from which on nothing is to be seen
_CAMERAS = (10, 12, 14)  # bits


class Kind:
    """What pictures of one type of more than 8 bits hold.

    Attributes:
        ranges (List[Tuple[float, float]]): Smallest and largest value of each.
        lost (List[float]): Share of each that lies outside ``value_range``.
        first (str): Path of the first.
        error (ValueRangeError, optional): Why one of them has no scale.
    """

    def __init__(self, first: str) -> None:
        self.first = first
        self.ranges: List[Tuple[float, float]] = []
        self.lost: List[float] = []
        self.error: Optional[ValueRangeError] = None

    def range(self) -> Tuple[float, float]:
        """Smallest and largest value of all."""
        return min(low for low, _ in self.ranges), max(high for _, high in self.ranges)

    def __str__(self) -> str:
        smallest, largest = self.range()
        return f'with values from {smallest:,.6g} to {largest:,.6g} in {len(self.ranges)} read'


class Brightness:
    """Values that pictures of more than 8 bits hold, and what becomes of them.

    Args:
        loader (LoadImage): The transform that reads them.
        place (int): Its place in the pipeline, for the option's name.
    """

    def __init__(self, loader: LoadImage, place: int) -> None:
        self.loader = loader
        self.option = f'train_dataloader.dataset.pipeline.{place}.value_range'
        self.seen: Dict[str, Kind] = {}
        self.whole: Set[str] = set()  # kinds that are read from 0 to 65,535
        self.numbers: Counter = Counter()

    def look(self, path: str, opened: Opened) -> None:
        """Read the values of a picture, if it has more than 8 bits."""
        colour = ';16' in opened.raw and not opened.image.mode.startswith('I')
        if not (colour or is_deep_grey(opened.image)):
            return
        form = (opened.image.mode, opened.raw)
        self.numbers[form] += 1
        if self.numbers[form] > _READ:
            return
        deep = _colours(path) if colour else deep_values(open_picture(path, self.loader.max_pixels))
        if deep is None:
            if self.loader.value_range is not None:
                raise ValueError('16 bits per channel that cannot be read with a value_range')
            return  # Pillow's upper 8 bits are all that can be read, and all that is needed
        name, scale = deep.kind, self.loader.value_range or deep.natural
        if scale is not None:
            name += f' (black at {scale[0]:,.6g}, white at {scale[1]:,.6g})'
        kind = self.seen.setdefault(name, Kind(path))
        kind.ranges.append(seen_range(deep.values))
        if self.loader.value_range is not None:
            kind.lost.append(share_outside(deep.values, *scale))
            return
        if scale == (0, 65535):
            self.whole.add(name)
        try:
            black_and_white(deep)
        except ValueRangeError as error:
            if kind.error is None:
                kind.error, kind.first = error, path

    def check(self) -> None:
        """Whether every kind has a scale, and one that leaves something to be seen.

        Raises:
            ValueRangeError: If not, with the name of a picture and the option.
        """
        others = (
            f'. One value_range holds for all: {self._kinds()}. Where they mean different things, '
            'convert them to one kind, or name folders of one kind only '
            '(train_dataloader.dataset.data_root)'
        )
        for name, kind in self.seen.items():
            smallest, largest = kind.range()
            if kind.error is not None:
                advice = f': --cfg-options {self.option}={smallest:.6g},{largest:.6g}, or wider'
                raise ValueRangeError(
                    f'image {printable(kind.first)}: {kind.error}'
                    + (others if len(self.seen) > 1 else advice)
                )
            if kind.lost and np.mean(kind.lost) >= _LOST:
                raise ValueRangeError(
                    f'image {printable(kind.first)}, {name} {kind}: {np.mean(kind.lost):.1%} of '
                    f'the values become plain black or white; set {self.option} to a range that '
                    'they fit' + (others if len(self.seen) > 1 else '')
                )

    def _kinds(self) -> str:
        return '; '.join(f'{name} {kind}' for name, kind in self.seen.items())

    def __str__(self) -> str:
        parts = []
        for name, kind in self.seen.items():
            text = f'{name} {kind}'
            largest = kind.range()[1]
            bits = next((bits for bits in _CAMERAS if largest < 2**bits), None)
            if name in self.whole and bits and len(self.seen) == 1:
                text += (
                    f': if these are of a {bits}-bit camera, '
                    f'--cfg-options {self.option}=0,{2**bits - 1}'
                )
            parts.append(text)
        return f'{sum(self.numbers.values())} of more than 8 bits: {"; ".join(parts)}'


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
        except Exception as error:  # Pillow raises many kinds; LoadImage reports them in full
            broken.append(path)
            reason = reason or error
            continue
        sizes.append(size)
        modes[mode] += 1
    for brightness in loaders:
        brightness.check()
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
    return text + ''.join(f'; {brightness}' for brightness in loaders if brightness.numbers)

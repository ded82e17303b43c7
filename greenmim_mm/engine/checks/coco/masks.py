"""Segmentations of COCO annotations: polygons and run-length encodings (RLE)."""

from typing import Callable, List, Optional, Tuple, Union

import numpy as np

Found = Callable[[str, str], None]  # kind of problem, where
Size = Tuple[int, int]  # width, height in pixels
Segmentation = Union[list, dict]


def is_number(value) -> bool:
    """A number of ordinary size; JSON's true, NaN and Infinity are none."""
    return type(value) in (float, int) and -1e15 < value < 1e15


def run_lengths(counts: Union[list, str]) -> List[int]:
    """Lengths of the runs of an RLE, hidden pixels first.

    A string holds 5 bits per character, lowest first, each character 48 above its value; bit 6
    says that the number goes on, and the last group's highest bit is its sign. From the fourth
    number on, each is the difference to the one two places before
    (https://github.com/cocodataset/cocoapi, ``maskApi.c``).

    Raises:
        ValueError: If the counts are no run lengths.
    """
    if isinstance(counts, list):
        lengths = counts
    elif isinstance(counts, str):
        lengths, value, shift = [], 0, 0
        for character in counts:
            bits = ord(character) - 48
            if not 0 <= bits < 64:
                raise ValueError(f'character {character!r}')
            value |= (bits & 31) << shift
            shift += 5
            if bits & 32:
                continue
            if bits & 16:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value, shift = 0, 0
        if shift:
            raise ValueError('ends inside a number')
    else:
        raise ValueError(f'counts must be a list or a string, got {type(counts).__name__}')
    if not all(is_number(n) and n == int(n) and n >= 0 for n in lengths):
        raise ValueError('run lengths must be whole numbers from 0')
    return [int(n) for n in lengths]


def decode(rle: dict) -> np.ndarray:
    """Bool mask of shape H x W; the RLE's length must be right."""
    lengths = run_lengths(rle['counts'])
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(rle['size'], order='F')  # column by column


def encode(mask: np.ndarray) -> dict:
    """Compressed RLE of a bool mask of shape H x W."""
    from pycocotools import mask as masks

    rle = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=[int(n) for n in rle['size']], counts=rle['counts'].decode())


def extent(segmentation: Segmentation) -> Tuple[float, float, float, float]:
    """Left, top, right and bottom of a segmentation that :func:`mend` returned."""
    if isinstance(segmentation, list):
        xs = [x for polygon in segmentation for x in polygon[::2]]
        ys = [y for polygon in segmentation for y in polygon[1::2]]
        return min(xs), min(ys), max(xs), max(ys)
    from pycocotools import mask as masks

    height, width = segmentation['size']
    if isinstance(segmentation['counts'], list):
        segmentation = masks.frPyObjects(segmentation, height, width)
    x, y, width, height = map(float, masks.toBbox(segmentation))
    return x, y, x + width, y + height


def area(segmentation: Segmentation, size: Size) -> float:
    """Pixels of a segmentation that :func:`mend` returned, as pycocotools counts them."""
    if isinstance(segmentation, dict):
        return float(sum(run_lengths(segmentation['counts'])[1::2]))
    from pycocotools import mask as masks

    rles = masks.frPyObjects(segmentation, size[1], size[0])
    return float(masks.area(masks.merge(rles)))


def mend(segmentation, size: Size, box, where: str, found: Found) -> Optional[Segmentation]:
    """The segmentation, mended, or None.

    Args:
        segmentation: As the file has it.
        size (Size): Of the picture.
        box: x, y, width, height, which tells how an RLE of swapped size is meant; or None.
        where (str): Named in messages.
        found (Found): Told of every problem.
    """
    if isinstance(segmentation, dict):
        return _mend_rle(segmentation, size, box, where, found)
    if not isinstance(segmentation, list) or not segmentation:
        return found('no segmentation', f'{where}: {str(segmentation)[:40]}')
    if all(is_number(n) or isinstance(n, str) for n in segmentation):
        found('polygon in another form', f'{where}: numbers without a list around them')
        segmentation = [segmentation]
    polygons = [p for polygon in segmentation if (p := _mend_polygon(polygon, where, found))]
    return polygons or found('no segmentation left', where)


def _mend_polygon(polygon, where: str, found: Found) -> Optional[list]:
    """At least three points that enclose an area."""
    try:
        numbers = np.array(polygon)
    except ValueError:  # lists of several lengths
        numbers = np.array(None)
    if numbers.dtype.kind == 'U':
        try:
            numbers = numbers.astype(float)
        except ValueError:
            return found('degenerate polygon', f'{where}: {str(polygon)[:40]}')
        found('polygon in another form', f'{where}: numbers as text')
        polygon = numbers.tolist()
    if numbers.ndim == 2 and numbers.shape[1] == 2:
        found('polygon in another form', f'{where}: a list of points')
        polygon, numbers = [n for point in polygon for n in point], numbers.ravel()
    if numbers.ndim != 1 or numbers.dtype.kind not in 'if' or not np.isfinite(numbers).all():
        return found('degenerate polygon', f'{where}: {str(polygon)[:40]}')
    if len(numbers) < 6 or len(numbers) % 2:
        return found('degenerate polygon', f'{where}: {len(numbers)} numbers')
    x, y = numbers[::2], numbers[1::2]
    twice = x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0]  # shoelace formula
    if abs(twice) < 2e-6:
        return found('degenerate polygon', f'{where}: {len(x)} points that enclose no area')
    return polygon


def _mend_rle(rle: dict, size: Size, box, where: str, found: Found) -> Optional[dict]:
    width, height = size
    shape = rle.get('size')
    try:
        lengths = run_lengths(rle.get('counts'))
    except ValueError as error:
        return found('broken RLE', f'{where}: {error}')
    if sum(lengths) != width * height:
        return found(
            'broken RLE', f'{where}: {sum(lengths)} pixels, the picture has {width * height}'
        )
    if shape == [height, width]:
        return rle
    if shape != [width, height]:
        return found('broken RLE', f'{where}: size {shape}, the picture has {[height, width]}')
    # either only the size is swapped, or the mask was encoded row by row
    as_columns = dict(rle, size=[height, width])
    as_rows = encode(decode(rle).T)
    fitting = [r for r in (as_columns, as_rows) if box is not None and _near(extent(r), box)]
    if not fitting:
        return found('broken RLE', f'{where}: size {shape}, and its box fits neither reading')
    found('RLE of swapped size', f'{where}: {shape} for a picture of {width} x {height}')
    return fitting[0]


def _near(edges, box, pixels: float = 2) -> bool:
    x, y, width, height = box
    return all(abs(a - b) <= pixels for a, b in zip(edges, (x, y, x + width, y + height)))

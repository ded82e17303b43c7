"""Values of more than 8 bits per channel, and which of them are black and white.

Brightness is a rule of the type of a picture and of ``value_range``, never of what one picture
happens to hold: two pictures of one camera keep their difference.
"""

import math
from typing import NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
from PIL import Image

from .errors import ValueRangeError
from .opening import BITS, PHOTOMETRIC, SAMPLE_FORMAT, SIGNED, UNSIGNED, Opened


class DeepValues(NamedTuple):
    """Grey values of more than 8 bits, or of 8 bits with a sign.

    Attributes:
        values (np.ndarray): Of shape H x W.
        kind (str): Their type in the file, for example ``'uint16'``.
        natural (Tuple[float, float], optional): The range that the type means; None: nobody knows.
        inverted (bool): Whether the lowest value is white.
    """

    values: np.ndarray
    kind: str
    natural: Optional[Tuple[float, float]]
    inverted: bool


def check_value_range(value_range: Optional[Sequence[float]]) -> Optional[Tuple[float, float]]:
    """``value_range`` as a pair of floats.

    Raises:
        ValueError: If it is not two finite numbers, the lower one first.
    """
    if value_range is None:
        return None
    try:
        low, high = (float(value) for value in value_range)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f'value_range must be two numbers, black and white, the lower one first, or None, '
            f'got {value_range!r}'
        )
    return low, high


def has_sign(image: Image.Image) -> bool:
    """Whether a TIFF holds integers with a sign."""
    tags = getattr(image, 'tag_v2', {})
    return tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == SIGNED


def is_deep_grey(image: Image.Image) -> bool:
    """Whether a picture holds grey values that need a scale to become 8 bits without a sign."""
    return image.mode.startswith(('I', 'F')) or has_sign(image)


def deep_values(opened: Opened) -> Optional[DeepValues]:
    """Grey values that need a scale as the file holds them; None for 8 bits without a sign."""
    image = opened.image
    if not is_deep_grey(image):
        return None
    values = np.asarray(image)
    if values.dtype == np.uint8:  # Pillow has no type with a sign for 8 bits
        return DeepValues(values.view(np.int8), 'int8', None, False)
    tags = getattr(image, 'tag_v2', {})
    inverted = tags.get(PHOTOMETRIC) == 0
    if image.mode == 'F':
        return DeepValues(values, 'float', (0.0, 1.0), inverted)
    if tags:  # TIFF says what it holds
        bits, signed = tags.get(BITS, (32,))[0], has_sign(image)
    else:
        signed = image.format not in ('PNG', 'PPM') and image.mode == 'I'
        bits = 32 if signed else 16
    if opened.largest:  # Pillow has stretched these to 16 bits
        values, bits = np.rint(values * (opened.largest / 65535)), 16
        return DeepValues(values, 'uint16', (0.0, float(opened.largest)), inverted)
    if not signed and bits == 32:
        values = values.astype(np.int32).view(np.uint32)  # Pillow knows no unsigned 32 bits
    natural = (0.0, float(2**bits - 1)) if not signed and bits <= 16 else None
    return DeepValues(values, f'{"" if signed else "u"}int{bits}', natural, inverted)


def deep_colours(content: bytes) -> np.ndarray:
    """Colours of 16 bits per channel, of which Pillow keeps the upper 8.

    Returns:
        np.ndarray: uint16, RGB or RGBA of shape H x W x C, as they lie in the file.

    Raises:
        ValueError: If OpenCV cannot read them.
    """
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise ValueError('16 bits per channel of this kind cannot be read with a value_range')
    return values[..., [2, 1, 0, 3][: values.shape[2]]]


def black_and_white(
    deep: DeepValues, value_range: Optional[Tuple[float, float]] = None
) -> Tuple[float, float]:
    """Values that become black and white: ``value_range``, or what the type means.

    Raises:
        ValueRangeError: If ``value_range`` is None and the type has no natural white, or values
            of floats lie outside [0, 1] by more than half a level of 8 bits.
    """
    if value_range is not None:
        return value_range
    if deep.natural is not None and deep.kind != 'float':
        return deep.natural
    smallest, largest = seen_range(deep.values)
    slack = 0.5 / 255  # rounding of whoever wrote the file; nobody can see it
    if deep.natural is not None and smallest >= -slack and largest <= 1 + slack:
        return deep.natural
    why = 'values outside [0, 1]' if deep.kind == 'float' else 'a type without a natural white'
    raise ValueRangeError(
        f'{deep.kind} with values from {smallest:.6g} to {largest:.6g}: {why}; set '
        'value_range=(black, white) in the LoadImage transform, for all pictures together'
    )


def seen_range(values: np.ndarray) -> Tuple[float, float]:
    """Smallest and largest value that is a number; 0 and 0 if there is none."""
    if values.dtype.kind == 'f':
        values = values[~np.isnan(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def share_outside(values: np.ndarray, low: float, high: float) -> float:
    """Share of the values that a range makes plain black or white; all, if no level is left."""
    smallest, largest = seen_range(values)
    levels = np.rint(fraction(np.array([smallest, largest]), low, high) * 255)
    if levels[0] == levels[1] in (0, 255) and smallest < largest:
        return 1.0
    return float(np.mean((values < low) | (values > high)))


def fraction(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """From black (0) to white (1); NaN stays NaN."""
    return ((values.astype(np.float64) - low) / (high - low)).clip(0, 1)

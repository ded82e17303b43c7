"""Bytes of a picture -> upright pixels of 8 bits."""

import io
from typing import Optional, Tuple

import numpy as np
from PIL import Image

from .brightness import DeepValues, black_and_white, deep_colours, deep_values, fraction
from .opening import MAX_PIXELS, open_picture, orientation_of

# what shows through: the mean colour of ImageNet, which normalisation turns into zeros
CANVAS = (124, 116, 104)

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _to_8_bits(share: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(share) * 255).astype(np.uint8)


def _deep_grey(image: Image.Image, deep: DeepValues, value_range) -> Image.Image:
    """Grey of more than 8 bits as 8 bits; where there is no data, the canvas."""
    share = fraction(deep.values, *black_and_white(deep, value_range))
    grey = _to_8_bits(1 - share if deep.inverted else share)
    hole = np.isnan(deep.values) if deep.kind == 'float' else np.zeros(grey.shape, dtype=bool)
    if isinstance(image.info.get('transparency'), int):
        hole |= deep.values == image.info['transparency']
    if not hole.any():
        return Image.fromarray(grey)
    return Image.fromarray(np.where(hole[..., None], np.uint8(CANVAS), grey[..., None]))


def _deep_colour(content: bytes, value_range: Tuple[float, float]) -> Image.Image:
    values = deep_colours(content)
    colour = fraction(values[..., :3], *value_range)
    if values.shape[2] == 4:
        alpha = values[..., 3:] / 65535
        colour = colour * alpha + np.array(CANVAS) / 255 * (1 - alpha)
    return Image.fromarray(_to_8_bits(colour))


def _on_canvas(image: Image.Image) -> Image.Image:
    if image.mode == 'La':
        image = image.convert('LA')
    image = image.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', image.size, (*CANVAS, 255)), image)


def decode(
    content: bytes,
    color_type: str = 'color',
    value_range: Optional[Tuple[float, float]] = None,
    max_pixels: Optional[int] = MAX_PIXELS,
) -> np.ndarray:
    """Pixels of a picture of any kind, with 8 bits per channel, upright.

    - 8 bits stay as they are. 16 bits without a sign go from 0 to 65,535 (12-bit TIFF to 4,095, PGM
      to what it declares), floats from 0 to 1. Integers with a sign or of 32 bits have no natural
      white: they need ``value_range``.
    - ``value_range`` holds for all of more than 8 bits, colour of 16 bits included; what lies
      outside becomes black or white.
    - Where there is no data (NaN, or the transparent value of a 16-bit PNG), and behind
      transparent parts, the mean colour of ImageNet shows.
    - CMYK, Lab, palettes and grey are converted; EXIF orientation is followed.

    Args:
        content (bytes): Of the file.
        color_type (str): ``'color'``, ``'grayscale'``, or either with ``'_ignore_orientation'`` as
            in mmcv. Defaults to 'color'.
        value_range (Tuple[float, float], optional): Values of black and white. Defaults to None.
        max_pixels (int, optional): None: no limit. Defaults to ``MAX_PIXELS``.

    Returns:
        np.ndarray: uint8, RGB of shape H x W x 3, or grey of shape H x W.

    Raises:
        ValueRangeError: For values that have no scale without ``value_range``.
        ValueError: If there are more pixels than ``max_pixels``; others as Pillow raises them.
    """
    opened = open_picture(io.BytesIO(content), max_pixels)
    image, orientation = opened.image, opened.orientation
    if image.format == 'TIFF' and orientation_of(image) == 1:
        orientation = 1  # Pillow has turned it already
    deep = deep_values(opened)
    if deep is not None:
        image = _deep_grey(image, deep, value_range)
    elif value_range is not None and ';16' in opened.raw:
        image, orientation = _deep_colour(content, value_range), opened.orientation
    elif image.mode in ('LA', 'La', 'PA', 'RGBA', 'RGBa') or 'transparency' in image.info:
        image = _on_canvas(image)
    elif image.mode == 'LAB':
        image = image.convert('RGB')  # Pillow knows no way from Lab to grey
    image = image.convert('L' if color_type.startswith('grayscale') else 'RGB')
    if orientation in _TURN and not color_type.endswith('ignore_orientation'):
        image = image.transpose(_TURN[orientation])
    return np.asarray(image)

"""Opening pictures with Pillow: every format that is installed, of every size."""

import contextlib
import threading
from functools import cache
from importlib import import_module
from typing import Iterator, NamedTuple, Optional

from PIL import Image, PngImagePlugin, UnidentifiedImageError

# 3 GB as RGB; Pillow's own limit, 179 million, is for pictures that strangers upload
MAX_PIXELS = 1_000_000_000
MAX_TEXT = 2**28  # bytes of text and colour profile in a PNG; Pillow's own limit is 1 MiB

_ORIENTATION = 274  # EXIF


class Opened(NamedTuple):
    """A picture that Pillow has read, with what it forgets on the way.

    Attributes:
        image (Image.Image): With its pixels.
        raw (str): How the file holds them, in Pillow's words, for example ``'RGB;16B'``.
        largest (int): Largest value that the file itself declares (PGM); 0: none.
        orientation (int): EXIF orientation of the pixels in the file, 1 to 8.
    """

    image: Image.Image
    raw: str
    largest: int
    orientation: int


@cache
def _register_plugins() -> None:
    """Formats that other packages teach Pillow, where these are installed."""
    for name, register in (
        ('pillow_heif', 'register_heif_opener'),
        ('pillow_avif', None),
        ('pillow_jxl', None),
    ):
        with contextlib.suppress(ImportError):
            plugin = import_module(name)
            if register:
                getattr(plugin, register)()


_limits = threading.Lock()


@contextlib.contextmanager
def _without_limits_of_pillow() -> Iterator[None]:
    """Pillow's limits are global: lift them for one picture, one thread at a time."""
    with _limits:
        before = (
            Image.MAX_IMAGE_PIXELS,
            PngImagePlugin.MAX_TEXT_CHUNK,
            PngImagePlugin.MAX_TEXT_MEMORY,
        )
        Image.MAX_IMAGE_PIXELS = None
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT
        try:
            yield
        finally:
            (
                Image.MAX_IMAGE_PIXELS,
                PngImagePlugin.MAX_TEXT_CHUNK,
                PngImagePlugin.MAX_TEXT_MEMORY,
            ) = before


def open_picture(file, max_pixels: Optional[int] = MAX_PIXELS, pixels: bool = True) -> Opened:
    """Read a picture of any size up to ``max_pixels``, with text and profiles up to 256 MiB.

    Args:
        file (str | BinaryIO): A path, or a file that can seek.
        max_pixels (int, optional): None: no limit. Defaults to ``MAX_PIXELS``.
        pixels (bool): Read the pixels, too, not only the header. Defaults to True.

    Raises:
        ValueError: If the picture has more pixels; Pillow's own errors for what it cannot read.
    """
    try:
        return _open(file, max_pixels, pixels)
    except UnidentifiedImageError:
        _register_plugins()
        if hasattr(file, 'seek'):
            file.seek(0)
        return _open(file, max_pixels, pixels)
    except (Image.DecompressionBombError, ValueError) as error:
        if isinstance(error, ValueError) and 'MAX_TEXT' not in str(error):
            raise
        if hasattr(file, 'seek'):
            file.seek(0)
        with _without_limits_of_pillow():
            return _open(file, max_pixels, pixels)


def _open(file, max_pixels: Optional[int], pixels: bool) -> Opened:
    image = Image.open(file)
    width, height = image.size
    if max_pixels is not None and width * height > max_pixels:
        raise ValueError(
            f'{width} x {height} are {width * height:,} pixels, more than max_pixels={max_pixels:,}'
        )
    coding = image.tile[0][3] if image.tile else ''
    coding = coding if isinstance(coding, tuple) else (coding,)
    raw = coding[0] if isinstance(coding[0], str) else ''
    largest = coding[1] if image.format == 'PPM' and len(coding) == 2 else 0
    orientation = orientation_of(image)
    if pixels:
        image.load()
    return Opened(image, raw, largest, orientation)


def orientation_of(image: Image.Image) -> int:
    """Of EXIF; 1 (upright) where it is broken, which is no reason to lose the picture."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1

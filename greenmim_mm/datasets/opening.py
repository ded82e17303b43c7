"""Opening pictures with Pillow: every format that is installed, of every size."""

import contextlib
import threading
from functools import cache
from importlib import import_module
from typing import Iterator, Mapping, NamedTuple, Optional

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from .errors import PictureError

# 3 GB as RGB; Pillow's own limit, 179 million, is for pictures that strangers upload
MAX_PIXELS = 1_000_000_000
MAX_TEXT = 2**28  # bytes of text and colour profile in a PNG; Pillow's own limit is 1 MiB

_ORIENTATION = 274  # EXIF
# numbers of the TIFF standard
WIDTH, BITS, PHOTOMETRIC, CHANNELS, PLANES, SAMPLE_FORMAT = 256, 258, 262, 277, 284, 339
UNSIGNED, SIGNED = 1, 2
_SEPARATE = 2
_TYPES = {1: 'uint', 2: 'int', 3: 'float', 5: 'complex int', 6: 'complex float'}


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
        PictureError: If it is a kind of TIFF that Pillow would read wrongly.
    """
    try:
        return _open(file, max_pixels, pixels)
    except UnidentifiedImageError:
        _register_plugins()
        if hasattr(file, 'seek'):
            file.seek(0)
        try:
            return _open(file, max_pixels, pixels)
        except UnidentifiedImageError as error:
            raise UnidentifiedImageError(_why_unknown(file)) from error
    except (Image.DecompressionBombError, ValueError) as error:
        if isinstance(error, ValueError) and 'MAX_TEXT' not in str(error):
            raise
        if hasattr(file, 'seek'):
            file.seek(0)
        with _without_limits_of_pillow():
            return _open(file, max_pixels, pixels)


def _open(file, max_pixels: Optional[int], pixels: bool) -> Opened:
    image = Image.open(file)
    tags = getattr(image, 'tag_v2', {})
    if (
        tags.get(PLANES) == _SEPARATE
        and max(tags.get(BITS, (8,))) > 8
        and len(image.getbands()) > 1
    ):
        raise PictureError(  # neither Pillow nor OpenCV puts these bytes together
            f'TIFF of {_kind_of_tiff(tags)} in separate planes: save it with the channels of each '
            'pixel together (PlanarConfiguration 1), or with 8 bits per channel'
        )
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


def _kind_of_tiff(tags: Mapping) -> str:
    """Its type and channels, for example 'float64 in 1 channel'."""
    bits = '/'.join(str(number) for number in dict.fromkeys(tags.get(BITS, (1,))))
    form = tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
    channels = tags.get(CHANNELS, 1)
    plural = '' if channels == 1 else 's'
    return f'{_TYPES.get(form, "type unknown ")}{bits} in {channels} channel{plural}'


def _why_unknown(file) -> str:
    """Why Pillow cannot identify a file, and what to do about it."""
    with contextlib.ExitStack() as stack:
        if not hasattr(file, 'seek'):
            file = stack.enter_context(open(file, 'rb'))
        file.seek(0)
        start = file.read(16)
        if not start:
            return 'the file is empty'
        if start[:4] not in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
            return 'of no format that Pillow knows, or with a broken beginning'
        try:
            tags = ImageFileDirectory_v2(start if b'+' in start[:4] else start[:8])
            file.seek(tags.next)
            tags.load(file)
            kind = _kind_of_tiff(tags) if WIDTH in tags else None
        except Exception:
            kind = None
    if kind is None:
        return 'a TIFF with broken tags'
    return (
        f'a TIFF of {kind}, which Pillow does not read: save it as grey (uint8, uint16, int16, '
        'int32 or float32) or as colour (uint8 or uint16)'
    )


def orientation_of(image: Image.Image) -> int:
    """Of EXIF; 1 (upright) where it is broken, which is no reason to lose the picture."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1

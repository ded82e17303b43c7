"""The pictures of an annotation file, as MMDetection's reader sees them."""

import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional

from .masks import Size

_ORIENTATION = 0x0112  # EXIF
_INVERSE = {6: 8, 8: 6}  # the other ones undo themselves


@dataclass(frozen=True)
class Picture:
    """What the detector gets.

    Args:
        size (Size): Width and height of the array that the reader returns.
        turn (int, optional): EXIF orientation 5 to 8 that leads from the picture's other frame
            (height and width swapped) to this one. Defaults to None: there is no other frame.
    """

    size: Size
    turn: Optional[int] = None


def find_file(folder: Path, name: str) -> Optional[str]:
    """``name`` if that file is there, or what is left of it without leading folders.

    Args:
        folder (Path): Folder that file names are relative to.
        name (str): ``file_name`` of the annotation file.
    """
    if (folder / name).is_file():
        return name
    parts = PurePosixPath(name.replace('\\', '/')).parts
    for start in range(len(parts)):
        shorter = str(PurePosixPath(*parts[start:]))
        if (folder / shorter).is_file() and not shorter.startswith('/'):
            return shorter
    return None


def look(file: Path, every_pixel: bool = False) -> Picture:
    """Find a picture's frame.

    MMDetection reads with OpenCV, which turns most formats upright by their EXIF orientation, but
    not all of them. Only a picture with an orientation is decoded; otherwise its header is enough.

    Args:
        file (Path): The picture.
        every_pixel (bool): Decode it in any case. Defaults to False.

    Raises:
        ValueError: If the detector cannot read it, with the reason.
    """
    import cv2
    from PIL import Image

    header, orientation, kind = None, 1, None
    try:
        with warnings.catch_warnings(), Image.open(file) as opened:
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            header, kind = opened.size, opened.format
            orientation = opened.getexif().get(_ORIENTATION, 1)
            if every_pixel:
                opened.load()
    except Exception as error:  # Pillow raises many kinds
        if every_pixel and header is not None:
            raise ValueError(error) from error
    if header is None or every_pixel or orientation in range(2, 9):
        seen = _decode(file)
    elif cv2.haveImageReader(str(file)):
        return Picture(header)
    else:
        raise ValueError(f"OpenCV, MMDetection's reader, does not know {kind or 'its format'}")
    if orientation not in range(5, 9):
        return Picture(seen)
    turned = kind == 'TIFF' or seen == header[::-1]  # Pillow itself turns TIFF
    return Picture(seen, orientation if turned else _INVERSE.get(orientation, orientation))


def _decode(file: Path) -> Size:
    """Width and height of what ``mmdet.LoadImageFromFile`` returns."""
    import mmcv

    content = file.read_bytes()
    if not content:
        raise ValueError('the file is empty')
    try:
        image = mmcv.imfrombytes(content)
    except Exception as error:
        reason = getattr(error, 'err', '') or str(error)  # OpenCV's own: without its source line
        raise ValueError(f"OpenCV, MMDetection's reader: {reason.strip()}") from error
    if image is None:
        raise ValueError("OpenCV, MMDetection's reader, cannot read it")
    return image.shape[1], image.shape[0]

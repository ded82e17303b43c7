"""Which files are pictures, and what would read those that are not read."""

from typing import Optional, Sequence, Tuple

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')
ARCHIVES = ('.zip', '.tar', '.tgz', '.tar.gz', '.tar.bz2', '.tar.xz', '.7z', '.rar')

_PILLOW = "Pillow reads them: add {0} to the data set's extensions"
_PLUGIN = "pip install {1}, and add {0} to the data set's extensions"
_CONVERT = '{1} reads them: convert them, for example to .tif'
_READERS = (
    (('.gif', '.jfif', '.jpe', '.tga', '.ico', '.psd', '.sgi', '.pnm', '.jp2', '.j2k', '.jpx'),
     _PILLOW, 'Pillow'),
    (('.avif',), 'Pillow from 11.3 reads them, or pip install pillow-avif-plugin: add {0} to the '
     "data set's extensions", 'Pillow'),
    (('.heic', '.heif', '.hif'), _PLUGIN, 'pillow-heif'),
    (('.jxl',), _PLUGIN, 'pillow-jxl-plugin'),
    (('.cr2', '.cr3', '.nef', '.arw', '.dng', '.raf', '.orf', '.rw2', '.pef', '.srw', '.raw'),
     _CONVERT, 'rawpy'),
    (('.dcm',), _CONVERT, 'pydicom'),
    (('.nii', '.nii.gz'), _CONVERT, 'nibabel'),
    (('.exr', '.hdr'), _CONVERT, 'OpenEXR or OpenCV'),
    (('.npy', '.npz'), _CONVERT, 'NumPy'),
    (('.svg',), _CONVERT, 'CairoSVG'),
    (('.mp4', '.avi', '.mov', '.mkv', '.webm'), 'films: take pictures out of them', ''),
    (ARCHIVES, 'archives: unpack them', ''),
)  # fmt: skip
_HINTS = {
    extension: hint.format(extension, package)
    for extensions, hint, package in _READERS
    for extension in extensions
}


def extension_of(name: str, extensions: Sequence[str]) -> Optional[str]:
    """The longest of ``extensions`` (in lower case) that a file name ends with, if any."""
    name = name.lower()
    if not name.endswith(tuple(extensions)):
        return None
    found = [extension for extension in extensions if name.endswith(extension)]
    return max(found, key=len)


def unread_extension(name: str) -> Optional[str]:
    """Extension of a file that holds pictures in a form that is not read by default."""
    return extension_of(name, tuple(_HINTS))


def how_to_read(extension: str) -> str:
    """What a user can do about files of an extension that is not read."""
    return _HINTS[extension]


def check_extensions(extensions: Sequence[str]) -> Tuple[str, ...]:
    """Extensions in lower case, with their dots.

    Raises:
        ValueError: If there is none, or one is no text.
    """
    extensions = (extensions,) if isinstance(extensions, str) else tuple(extensions)
    if not extensions or not all(isinstance(name, str) and name.strip('.') for name in extensions):
        raise ValueError(f"extensions must be texts such as '.jpg', got {extensions!r}")
    return tuple('.' + name.lower().lstrip('.') for name in extensions)

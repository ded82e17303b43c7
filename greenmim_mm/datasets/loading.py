"""Reading images of every kind, and images that may be broken."""

from typing import Optional, Sequence

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import get
from mmengine.logging import MMLogger

from ..registry import TRANSFORMS
from .brightness import check_value_range
from .decoding import decode
from .errors import PictureError, ValueRangeError
from .opening import MAX_PIXELS
from .shared_set import SharedSet
from .sources import printable

_DECODED = ('color', 'grayscale', 'color_ignore_orientation')


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """``LoadImageFromFile`` for every kind of image that can skip broken ones.

    How brightness, transparency and orientation become 8-bit pixels is told at
    :func:`~greenmim_mm.datasets.decoding.decode`. OpenCV fills what is missing of a truncated
    JPEG with grey and says nothing; Pillow, the default here, reports it.

    Args:
        on_error (str): What to do with an unreadable image: ``'raise'`` stops
            with an error that names it; ``'skip'`` names it in the log, once, and lets
            the dataset draw another sample. Defaults to 'raise'.
        imdecode_backend (str): Another than Pillow reads as its parent does, without
            ``value_range`` and ``max_pixels``. Defaults to 'pillow'.
        value_range (Sequence[float], optional): Values of black and white in images of more than
            8 bits, for example ``(0, 4095)`` for a 12-bit camera; those of 8 bits do not change.
            Defaults to None: the range of the type, 0 to 65,535 for 16 bits, 0 to 1 for floats.
        max_pixels (int, optional): Larger images count as unreadable; None: no limit.
            Defaults to 1,000,000,000.
        **kwargs: Those of ``LoadImageFromFile``.

    Raises:
        ValueError: If an argument is out of range.
        PictureError: At an unreadable image (``'raise'``), and always at an image whose values
            have no scale without ``value_range``.
    """

    def __init__(
        self,
        on_error: str = 'raise',
        imdecode_backend: str = 'pillow',
        value_range: Optional[Sequence[float]] = None,
        max_pixels: Optional[int] = MAX_PIXELS,
        **kwargs,
    ) -> None:
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        if max_pixels is not None and max_pixels < 1:
            raise ValueError(f'max_pixels must be at least 1 or None, got {max_pixels!r}')
        self.on_error = 'skip' if self.ignore_empty else on_error  # mmcv's word for it
        self.value_range = check_value_range(value_range)
        self.max_pixels = max_pixels
        self.decodes = imdecode_backend == 'pillow' and self.color_type in _DECODED
        if self.value_range is not None and not self.decodes:
            raise ValueError(
                f"value_range needs imdecode_backend='pillow' and color_type in {_DECODED}, got "
                f'{imdecode_backend!r} and {self.color_type!r}'
            )
        self._named = SharedSet() if self.on_error == 'skip' else None

    def has_named(self, path: str) -> bool:
        """Whether the log of this process or of its loading workers names a broken image."""
        return self._named is not None and path in self._named

    def transform(self, results: dict) -> Optional[dict]:
        path = results['img_path']
        try:
            if not self.decodes:
                return super().transform(results)
            content = get(path, backend_args=self.backend_args)
            pixels = decode(content, self.color_type, self.value_range, self.max_pixels)
        except ValueRangeError as error:  # the setting is wrong, not the image: never skipped
            raise ValueRangeError(f'image {printable(path)}: {error}') from error
        except Exception as error:
            message = f'image {printable(path)} cannot be read ({error})'
            if self.on_error == 'raise':
                raise PictureError(
                    f"{message}; remove it, or set on_error='skip' in the LoadImage transform"
                ) from error
            if self._named.add(path):
                MMLogger.get_current_instance().warning(f'{message}; other images take its place')
            return None
        if pixels.ndim == 3:
            pixels = np.ascontiguousarray(pixels[..., ::-1])  # BGR, as mmcv
        results['img'] = pixels.astype(np.float32) if self.to_float32 else pixels.copy()
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

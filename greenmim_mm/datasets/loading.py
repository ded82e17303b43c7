"""Reading images of every kind, and images that may be broken."""

import io
from typing import Optional

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import get
from mmengine.logging import MMLogger
from PIL import Image, ImageOps

from ..registry import TRANSFORMS

# what shows through: the mean colour of ImageNet, which normalisation turns into zeros
CANVAS = (124, 116, 104)


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB with 8 bits per channel, upright.

    16-bit and 32-bit grey is scaled from its whole range (65,535; 1 for floats up to
    1), not cut at 255; transparent parts show the mean colour of ImageNet; CMYK, palettes and
    grey are converted; the orientation of the camera (EXIF) is followed.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(('I', 'F')):
        values = np.asarray(image, dtype=np.float64)
        highest = values.max(initial=0)
        full = 65535 if highest > 255 else (255 if highest > 1 or image.mode != 'F' else 1)
        image = Image.fromarray((values / full * 255).round().clip(0, 255).astype(np.uint8))
    elif image.mode in ('LA', 'La', 'PA', 'RGBA', 'RGBa') or 'transparency' in image.info:
        image = image.convert('RGBA')
        canvas = Image.new('RGBA', image.size, (*CANVAS, 255))
        image = Image.alpha_composite(canvas, image)
    return image.convert('RGB')


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """``LoadImageFromFile`` for every kind of image (:func:`to_rgb`) that can skip broken ones.

    OpenCV fills what is missing of a truncated JPEG with grey and says nothing;
    Pillow, the default here, reports it.

    Args:
        on_error (str): What to do with an unreadable image: ``'raise'`` stops
            with an error that names it; ``'skip'`` names it in the log and lets
            the dataset draw another sample. Defaults to 'raise'.
        imdecode_backend (str): Another than Pillow reads as its parent does. Defaults to 'pillow'.
        **kwargs: Those of ``LoadImageFromFile``.

    Raises:
        ValueError: If ``on_error`` is neither, or (``'raise'``) at an
            unreadable image.
    """

    def __init__(self, on_error: str = 'raise', imdecode_backend: str = 'pillow', **kwargs) -> None:
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.on_error = on_error

    def transform(self, results: dict) -> Optional[dict]:
        try:
            if self.imdecode_backend != 'pillow' or self.color_type != 'color':
                return super().transform(results)
            content = get(results['img_path'], backend_args=self.backend_args)
            with Image.open(io.BytesIO(content)) as image:
                pixels = np.ascontiguousarray(np.asarray(to_rgb(image))[..., ::-1])  # BGR, as mmcv
        except Exception as error:
            message = f'image {results["img_path"]} cannot be read ({error})'
            if self.on_error == 'raise':
                raise ValueError(
                    f"{message}; remove it, or set on_error='skip' in the LoadImage transform"
                ) from error
            MMLogger.get_current_instance().warning(f'{message}; another image takes its place')
            return None
        results['img'] = pixels.astype(np.float32) if self.to_float32 else pixels
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

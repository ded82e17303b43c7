"""Reading images that may be broken."""

from typing import Optional

from mmcv.transforms import LoadImageFromFile
from mmengine.logging import MMLogger

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """``LoadImageFromFile`` that notices truncated files and can skip them.

    OpenCV fills what is missing of a truncated JPEG with grey and says nothing;
    Pillow, the default here, reports it.

    Args:
        on_error (str): What to do with an unreadable image: ``'raise'`` stops
            with an error that names it; ``'skip'`` names it in the log and lets
            the dataset draw another sample. Defaults to 'raise'.
        imdecode_backend (str): Defaults to 'pillow'.
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
            return super().transform(results)
        except Exception as error:
            message = f'image {results["img_path"]} cannot be read ({error})'
            if self.on_error == 'raise':
                raise ValueError(
                    f"{message}; remove it, or set on_error='skip' in the LoadImage transform"
                ) from error
            MMLogger.get_current_instance().warning(f'{message}; another image takes its place')
            return None

"""Images without labels, from wherever they lie."""

from typing import List, Sequence, Union

from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger

from ..registry import DATASETS
from .errors import PictureError
from .formats import EXTENSIONS, check_extensions
from .sources import Source, find_pictures, printable
from .summary import summarise


@DATASETS.register_module()
class UnlabelledImages(BaseDataset):
    """Every image of folders of any depth, or of list files; each real file once.

    Links are followed, and never in circles; hidden names (``.ipynb_checkpoints``, ``@eaDir``,
    ``._x.jpg``) are left out. Before training starts the log says what was found: numbers by
    source and by extension; what was left out, and formats that are there but not read; sizes,
    modes and the range of brightness of a sample of the files.

    Args:
        data_root (str | PathLike | Sequence): A folder, a picture, a list file, or several of
            them. A list (``.txt``, UTF-8, UTF-16 or the encoding of the file names) has a path
            per line, of a picture or a folder, absolute or relative to the list's own folder;
            empty lines and those that start with # are skipped.
        extensions (Sequence[str]): Of files in folders. Defaults to jpg, jpeg, png, ppm, bmp,
            pgm, tif, tiff, webp. Pillow and its plugins read more: what is added here is read.
        sample (int): Files that are looked at for the summary; 0: none. Defaults to 200.
        **kwargs: Those of ``mmengine.dataset.BaseDataset``, ``pipeline`` above all.

    Raises:
        FileNotFoundError: If a source, or a file of a list, is not there.
        PictureError: If a source holds no image or is none (an archive, for example), if no image
            of the sample can be read, or if their values have no scale (``LoadImage``).
    """

    def __init__(
        self,
        data_root: Union[Source, Sequence[Source]],
        extensions: Sequence[str] = EXTENSIONS,
        sample: int = 200,
        **kwargs,
    ) -> None:
        self.sources = data_root
        self.extensions = check_extensions(extensions)
        self.sample = sample
        super().__init__(**kwargs)

    def load_data_list(self) -> List[dict]:
        """Paths of all images, source by source, in the order of their names."""
        try:
            found, search = find_pictures(self.sources, self.extensions)
        except PictureError as error:
            raise PictureError(f'{error} (train_dataloader.dataset.data_root)') from error
        paths = [path for new in found.values() for path in new]
        numbers = ', '.join(f'{printable(source)}: {len(new):,}' for source, new in found.items())
        text = f'{len(paths):,} images ({numbers}): '
        text += summarise(paths, self.sample, self.pipeline.transforms)
        logger = MMLogger.get_current_instance()
        logger.info(text)
        if search.left_out.numbers:
            logger.info(f'Left out: {search.left_out}')
        if search.unread.numbers:
            logger.warning(f'Not read: {search.unread_formats()}')
        return [dict(img_path=path) for path in paths]

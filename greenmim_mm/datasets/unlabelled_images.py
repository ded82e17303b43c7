"""Images without labels, from wherever they lie."""

import os
import os.path as osp
from collections import Counter
from typing import List, Sequence, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from PIL import Image

from ..registry import DATASETS

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


def find_images(folder: str, extensions: Sequence[str] = EXTENSIONS) -> List[str]:
    """Paths of all images of a folder of any depth, links followed, in the order of their names."""
    return sorted(
        osp.join(inner, name)
        for inner, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(tuple(extensions))
    )


@DATASETS.register_module()
class UnlabelledImages(BaseDataset):
    """Every image of folders of any depth, or of list files.

    Before training starts the log says what was found: numbers by source and by extension, and
    sizes and modes of a sample of the files.

    Args:
        data_root (str | Sequence[str]): A folder, a list file (``.txt``, one path per line,
            absolute or relative to the file's own folder; empty lines and those that start with #
            are skipped), or several of them.
        extensions (Sequence[str]): Of files in folders, in lower case. Defaults to those that
            Pillow reads: jpg, jpeg, png, ppm, bmp, pgm, tif, tiff, webp.
        sample (int): Files whose header is read for the summary; 0: none. Defaults to 200.
        **kwargs: Those of ``mmengine.dataset.BaseDataset``, ``pipeline`` above all.

    Raises:
        FileNotFoundError: If a source, or a file of a list, is not there.
        ValueError: If a source holds no image.
    """

    def __init__(
        self,
        data_root: Union[str, Sequence[str]],
        extensions: Sequence[str] = EXTENSIONS,
        sample: int = 200,
        **kwargs,
    ) -> None:
        self.sources = [data_root] if isinstance(data_root, str) else list(data_root)
        self.extensions = tuple(extensions)
        self.sample = sample
        super().__init__(**kwargs)

    def load_data_list(self) -> List[dict]:
        """Paths of all images, source by source, in the order of their names."""
        paths, numbers = [], []
        for source in self.sources:
            found = self._of_source(osp.expanduser(source))
            if not found:
                raise ValueError(
                    f'no image in {source} (train_dataloader.dataset.data_root): a folder with '
                    f'files {", ".join(self.extensions)} at any depth, or a .txt with a path '
                    'per line'
                )
            numbers.append(f'{source}: {len(found):,}')
            paths += found
        MMLogger.get_current_instance().info(self._summary(paths, numbers))
        return [dict(img_path=path) for path in paths]

    def _of_source(self, source: str) -> List[str]:
        if osp.isdir(source):
            return find_images(source, self.extensions)
        if not osp.isfile(source):
            raise FileNotFoundError(f'neither a folder nor a list file: {source}')
        with open(source) as file:
            lines = [line.strip() for line in file]
        base = osp.dirname(osp.abspath(source))
        paths = [osp.join(base, line) for line in lines if line and not line.startswith('#')]
        missing = [path for path in paths if not osp.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(paths)} files of {source} are not there, first '
                f'{missing[0]}'
            )
        return paths

    def _summary(self, paths: List[str], numbers: List[str]) -> str:
        kinds = Counter(osp.splitext(path)[1].lower() for path in paths)
        text = f'{len(paths):,} images ({", ".join(numbers)}): '
        text += ', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())
        chosen = np.linspace(0, len(paths) - 1, min(self.sample, len(paths))).astype(int)
        sizes, modes, broken = [], Counter(), []
        for path in (paths[i] for i in chosen):
            try:
                with Image.open(path) as image:
                    sizes.append(image.size)
                    modes[image.mode] += 1
            except Exception:  # Pillow raises many kinds; LoadImage reports them in full
                broken.append(path)
        if sizes:
            width, height = np.array(sizes).T
            text += (
                f'; of {len(chosen):,} looked at: width {width.min()} to {width.max()} (median '
                f'{np.median(width):.0f}), height {height.min()} to {height.max()} (median '
                f'{np.median(height):.0f}), modes '
                + ', '.join(f'{mode} {number}' for mode, number in modes.most_common())
            )
        if broken:
            text += f'; {len(broken)} unreadable, first {broken[0]}'
        return text

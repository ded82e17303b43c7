"""A picture file per predicted image."""

import contextlib
import inspect
import os.path as osp
from functools import partial
from typing import Iterator, Optional, Sequence

from mmengine.dist import utils
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..checks import CheckError


@HOOKS.register_module()
class PredictionPicturesHook(Hook):
    """Writes what a test predicts, into exactly the folder that it is given.

    The packages' own hooks write the name of a file without its folders, so that pictures of the
    same name overwrite each other, and put a relative folder below the work dir. Here, files keep
    their folders below the one that all images of the test have in common. What is drawn is the
    affair of the config's visualizer.

    Args:
        out_dir (str): Folder for the pictures; a relative one is below the current folder.
        score_thr (float, optional): Draw detections from this score on. Defaults to None, the
            visualizer's.

    Raises:
        CheckError: If ``out_dir`` is a file, images have no ``img_path``, or the visualizer of the
            config draws no predictions.
    """

    def __init__(self, out_dir: str, score_thr: Optional[float] = None) -> None:
        if osp.exists(out_dir) and not osp.isdir(out_dir):
            raise CheckError(f'out_dir must be a folder, got the file {out_dir}')
        self.out_dir = osp.abspath(out_dir)
        self.score_thr = score_thr

    def before_test(self, runner: Runner) -> None:
        """Find the folder that all images have in common, and what draws them."""
        data = runner.test_dataloader.dataset
        paths = {osp.dirname(data.get_data_info(i)['img_path']) for i in range(len(data))}
        self.root = osp.commonpath(paths)
        visualizer = runner.visualizer
        with as_main_process():
            visualizer.dataset_meta = data.metainfo
        self.draw = getattr(visualizer, 'visualize_cls', None)  # MMPretrain's
        if self.draw is None:
            self.draw = partial(visualizer.add_datasample, 'prediction')
            if self.score_thr is not None:
                self.draw.keywords['pred_score_thr'] = self.score_thr
        if 'out_file' not in inspect.signature(self.draw).parameters:
            raise CheckError(
                f'{type(visualizer).__name__} draws no predictions: visualizer.type of the config '
                'must be one that does'
            )

    def file(self, img_path: str) -> str:
        """Where the picture of an image goes.

        Args:
            img_path (str): The image.
        """
        import cv2

        file = osp.join(self.out_dir, osp.relpath(img_path, self.root))
        return file if cv2.haveImageWriter(file) else f'{file}.png'

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[Sequence] = None,
    ) -> None:
        """Draw a batch."""
        import mmcv

        for sample in outputs:
            if 'img_path' not in sample:
                raise CheckError(
                    'pictures of predictions need img_path: add it to meta_keys of the last step '
                    'of test_dataloader.dataset.pipeline'
                )
            image = mmcv.imfrombytes(get(sample.img_path), channel_order='rgb')
            with as_main_process():
                self.draw(image=image, data_sample=sample, out_file=self.file(sample.img_path))


@contextlib.contextmanager
def as_main_process() -> Iterator[None]:
    """Let every process draw its images: mmengine's visualizers draw in the first one alone."""
    original = utils.is_main_process
    utils.is_main_process = lambda group=None: True
    try:
        yield
    finally:
        utils.is_main_process = original

"""Pictures of what the model predicts, while it is pre-trained."""

from typing import List, Optional, Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...apis import reconstruct
from ...datasets import reading_options
from ...registry import HOOKS
from .evaluation import model_in_eval_mode


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """A grid of reconstructions of fixed images, into the runner's visualizer.

    A row per image: the image, its visible part, the prediction, and both pasted together.
    Where the grid goes is the visualizer's affair: files with ``LocalVisBackend`` (the
    default, ``vis_data/vis_image``), TensorBoard or WandB with ``vis_backends`` of theirs.

    Args:
        images (Sequence[str]): Image files, the same each time.
        img_size (int): Side in pixels they are resized and cropped to. Defaults to 224.
        interval (int): Iterations between two grids. Defaults to 1000.
        seed (int): Of the masks, the same each time. Defaults to 0.

    Raises:
        ValueError: If there is no image or the interval is below 1.
    """

    def __init__(
        self, images: Sequence[str], img_size: int = 224, interval: int = 1000, seed: int = 0
    ) -> None:
        if not images or isinstance(images, str) or interval < 1:
            raise ValueError(
                'images must be a list of files and interval at least 1, got '
                f'{images!r} and {interval}'
            )
        self.images = images
        self.interval = interval
        self.seed = seed
        self.pipeline: List[dict] = [
            dict(type='greenmim_mm.LoadImage'),
            dict(type='mmpretrain.ResizeEdge', scale=img_size),
            dict(type='mmpretrain.CenterCrop', crop_size=img_size),
            dict(type='mmpretrain.PackInputs'),
        ]

    def before_train(self, runner: Runner) -> None:
        """Read the images: one that is missing or broken ends the run here, not later."""
        options = reading_options(runner.cfg.get('train_dataloader'))
        load = Compose([dict(self.pipeline[0], **options), *self.pipeline[1:]])
        loaded = [load(dict(img_path=path))['inputs'] for path in self.images]
        self.batch = torch.stack(loaded)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        if not is_main_process() or not self.every_n_train_iters(runner, self.interval):
            return
        with model_in_eval_mode(runner) as model:
            rows = [result.picture() for result in reconstruct(model, self.batch, self.seed)]
        runner.visualizer.add_image('reconstruction', np.concatenate(rows), step=runner.iter + 1)

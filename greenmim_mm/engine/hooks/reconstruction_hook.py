"""Pictures of what the model predicts, while it is pre-trained."""

from typing import Optional, Sequence, Union

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...apis import reconstruct
from ...apis.images import (
    check_channels,
    check_img_size,
    height_and_width,
    image_pipeline,
    loading_transform,
)
from ...registry import HOOKS
from .evaluation import model_in_eval_mode


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """A grid of reconstructions of fixed images, into the runner's visualizer.

    A row per image: the image, its visible part, the prediction, and both pasted together.
    Where the grid goes is the visualizer's affair: files with ``LocalVisBackend`` (the
    default, ``vis_data/vis_image``), TensorBoard or WandB with ``vis_backends`` of theirs.

    Args:
        images (Sequence[str]): Image files, the same each time. They are read as the training
            images are.
        img_size (int | Sequence[int]): The side of a square in pixels, or height and width, that
            they are resized and cropped to: multiples of the mask unit. Defaults to 224.
        interval (int): Iterations between two grids. Defaults to 1000.
        seed (int): Of the masks, the same each time. Defaults to 0.

    Raises:
        ValueError: If there is no image, the size is no size, or the interval is below 1. Before
            the first step, if the size or the channels of an image do not fit the model.
    """

    def __init__(
        self,
        images: Sequence[str],
        img_size: Union[int, Sequence[int]] = 224,
        interval: int = 1000,
        seed: int = 0,
    ) -> None:
        if not images or isinstance(images, str) or interval < 1:
            raise ValueError(
                'images must be a list of files and interval at least 1, got '
                f'{images!r} and {interval}'
            )
        height_and_width(img_size)
        self.img_size = img_size
        self.images = images
        self.interval = interval
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Read the images: what is missing, broken or does not fit ends the run here, not later."""
        with model_in_eval_mode(runner) as model:
            if not hasattr(model, 'reconstruct'):
                raise ValueError(f'ReconstructionHook needs GreenMIM, got {type(model).__name__}')
            size = check_img_size(model, self.img_size)
            load = image_pipeline(size, loading_transform(runner.cfg))
            loaded = [load(dict(img_path=path))['inputs'] for path in self.images]
            for path, inputs in zip(self.images, loaded):
                check_channels(model, inputs, path)
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

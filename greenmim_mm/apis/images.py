"""From an image to what a pre-trained model takes: its size, its channels, its way of reading."""

import copy
from typing import Optional, Sequence, Tuple, Union

from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.datasets import CenterCrop, PackInputs, ResizeEdge
from torch import Tensor, nn

from ..sparsity import RandomMasking, unit_grid


def height_and_width(img_size: Union[int, Sequence[int]]) -> Tuple[int, int]:
    """An image size as height and width.

    Args:
        img_size (int | Sequence[int]): The side of a square in pixels, or height and width.

    Raises:
        ValueError: If it is neither.
    """
    sides = [img_size] * 2 if isinstance(img_size, int) else img_size
    if (
        not isinstance(sides, (list, tuple))
        or len(sides) != 2
        or not all(isinstance(side, int) and side > 0 for side in sides)
    ):
        raise ValueError(
            f'img_size must be a number of pixels or (height, width), got {img_size!r}'
        )
    return tuple(sides)


def check_img_size(model: nn.Module, img_size: Union[int, Sequence[int]]) -> Tuple[int, int]:
    """Whether a model can be given images of a size: mask units fit and some can be hidden.

    Args:
        model (nn.Module): A :class:`~greenmim_mm.models.GreenMIM`.
        img_size (int | Sequence[int]): The side of a square in pixels, or height and width.

    Returns:
        Tuple[int, int]: Height and width.

    Raises:
        ValueError: If a side is no multiple of the mask unit, or the mask ratio leaves nothing
            visible or nothing hidden.
    """
    size = height_and_width(img_size)
    unit = model.backbone.mask_unit
    try:
        RandomMasking(model.masking.mask_ratio, unit).num_visible(unit_grid(size, unit))
    except ValueError as error:
        raise ValueError(f'img_size={img_size} does not fit the model: {error}') from error
    return size


def check_channels(model: nn.Module, inputs: Tensor, name: str) -> None:
    """Whether an image has the channels that a model was trained on.

    Args:
        model (nn.Module): A :class:`~greenmim_mm.models.GreenMIM`.
        inputs (Tensor): The image, of shape C x H x W.
        name (str): Of the image, for the error.

    Raises:
        ValueError: If the numbers differ.
    """
    channels = model.head.in_channels
    if len(inputs) != channels:
        raise ValueError(
            f'{name} has {len(inputs)} channels, the model takes {channels}. Images are read as '
            'train_dataloader.dataset.pipeline.0 says: color_type="grayscale" there reads one '
            'channel'
        )


class ResizeToCover:
    """Resize an image, its ratio kept, to the smallest size that covers height x width.

    Args:
        size (Tuple[int, int]): Height and width in pixels.
    """

    def __init__(self, size: Tuple[int, int]) -> None:
        self.size = size

    def __call__(self, results: dict) -> dict:
        image = results['img']
        if image.ndim == 3 and image.shape[2] == 1:
            image = results['img'] = image[..., 0]  # Pillow and OpenCV want grey images like this
        # Pillow filters when it reduces; it has no type for other images
        pillow = image.dtype == 'uint8' and (image.ndim == 2 or image.shape[2] == 3)
        height, width = self.size
        edge = 'height' if image.shape[0] * width <= image.shape[1] * height else 'width'
        scale = height if edge == 'height' else width
        backend = 'pillow' if pillow else 'cv2'
        return ResizeEdge(scale, edge, backend, 'bicubic').transform(results)


def image_pipeline(size: Tuple[int, int], load: Optional[dict] = None) -> Compose:
    """Steps from an image to a tensor C x height x width: resized, and cropped in the middle.

    Args:
        size (Tuple[int, int]): Height and width in pixels.
        load (dict, optional): The transform that reads a file. Defaults to None, the image is in
            ``results['img']``.
    """
    crop = CenterCrop(crop_size=size[::-1])  # MMPretrain's order is width, height
    return Compose([*([load] if load else []), ResizeToCover(size), crop, PackInputs()])


def loading_transform(cfg: Config) -> dict:
    """The transform with which a config reads its training images, unreadable ones as an error.

    Args:
        cfg (Config): Of pre-training.

    Returns:
        dict: Config of a transform; ``greenmim_mm.LoadImage`` where the config has none.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    while dataset and (dataset.get('dataset') or dataset.get('datasets')):
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    steps = (dataset or {}).get('pipeline') or [{}]
    for transform in [step for step in steps[:1] if isinstance(step, dict)]:
        kind = str(transform.get('type')).rsplit('.', 1)[-1]
        if kind == 'LoadImage':
            return {**copy.deepcopy(transform), 'on_error': 'raise'}
        if kind == 'LoadImageFromFile':
            return copy.deepcopy(transform)
    return dict(type='greenmim_mm.LoadImage')

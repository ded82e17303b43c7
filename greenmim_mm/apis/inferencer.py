"""What a pre-trained model makes of the hidden part of an image."""

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.infer import BaseInferencer
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ..compat.safe_load import load_checkpoint_file, weights_of
from ..datasets import EXTENSIONS, PictureError, ValueRangeError, find_images
from ..datasets.sources import printable
from ..models.utils import load_and_compare
from ..registry import MODELS
from ..sparsity import Purpose, RandomMasking
from .images import check_channels, check_img_size, image_pipeline, loading_transform

_HIDDEN_GREY = 127

Input = Union[str, Path, np.ndarray]


class Reconstruction(NamedTuple):
    """One image; pictures are uint8 RGB of shape H x W x 3.

    Images of one or two channels are shown by their first one, in grey, and images of more than
    three channels by their first three.

    Attributes:
        original (np.ndarray): The image as the model got it.
        visible_part (np.ndarray): Its visible units, the others grey.
        prediction (np.ndarray): What the model says, everywhere.
        pasted (np.ndarray): Visible units of the image, predictions elsewhere.
        visible (np.ndarray): Bool of shape Mh x Mw, True = the model saw the mask unit.
    """

    original: np.ndarray
    visible_part: np.ndarray
    prediction: np.ndarray
    pasted: np.ndarray
    visible: np.ndarray

    def picture(self) -> np.ndarray:
        """The four pictures side by side, of shape H x 4 W x 3."""
        return np.concatenate(self[:4], axis=1)


@torch.no_grad()
def reconstruct(
    model: nn.Module, images: Tensor, seed: int = 0, mask_ratio: Optional[float] = None
) -> List[Reconstruction]:
    """Hide part of each image and let the model fill it in.

    Every image has its own mask, drawn by ``seed`` and its place in the batch. Targets that were
    normalised per unit are undone with the statistics of the original.

    Args:
        model (nn.Module): A :class:`~greenmim_mm.models.GreenMIM`, in eval mode.
        images (Tensor): In 0..255, of shape B x C x H x W, multiples of the mask unit; three
            channels are BGR.
        seed (int): Of the masks. Defaults to 0.
        mask_ratio (float, optional): Share of hidden units. Defaults to None, the model's.
    """
    ratio = model.masking.mask_ratio if mask_ratio is None else mask_ratio
    masking = RandomMasking(ratio, model.backbone.mask_unit, per_image=True)
    preprocessor = model.data_preprocessor
    inputs = preprocessor(dict(inputs=images, data_samples=None))['inputs']
    size = tuple(inputs.shape[-2:])
    visible = masking(size, len(inputs), seed=seed, purpose=Purpose.RECONSTRUCTION)
    predictions = model.reconstruct(inputs, visible)

    def to_rgb(batch: Tensor) -> np.ndarray:
        if preprocessor._enable_normalize:
            batch = batch * preprocessor.std + preprocessor.mean
        if batch.shape[1] < 3:
            batch = batch[:, :1].expand(-1, 3, -1, -1)
        elif batch.shape[1] == 3 and not preprocessor._channel_conversion:
            batch = batch.flip(1)  # the model sees BGR
        batch = batch[:, :3]
        return batch.round().clamp(0, 255).permute(0, 2, 3, 1).byte().cpu().numpy()

    results = []
    unit = model.backbone.mask_unit
    for original, prediction, seen in zip(to_rgb(inputs), to_rgb(predictions), visible.numpy()):
        pixels = seen.repeat(unit, 0).repeat(unit, 1)[..., None]
        part = np.where(pixels, original, _HIDDEN_GREY).astype(np.uint8)
        pasted = np.where(pixels, original, prediction)
        results.append(Reconstruction(original, part, prediction, pasted, seen))
    return results


class GreenMIMInferencer(BaseInferencer):
    """Images in, reconstructions out.

    Args:
        model (str | Config): A pre-training config.
        weights (str): A checkpoint of it; every tensor must fit. It is read without executing
            code from it.
        device (str, optional): Defaults to None, a GPU if there is one.
        img_size (int | Sequence[int], optional): Images are resized and cropped to a square of
            this side, or to height and width, in pixels: multiples of the mask unit. Defaults to
            None, that of the config's backbone, or 224.
        show_progress (bool): Defaults to False.

    Raises:
        ValueError: If the model is no GreenMIM, the size does not fit, a folder has no image, or
            an image has other channels than the model.

    Example:
        >>> inferencer = GreenMIMInferencer('configs/greenmim/swin_b_pretrain.py', 'epoch_800.pth')
        >>> results = inferencer('images/', batch_size=8, out_dir='reconstructions/')
        >>> results['predictions'][0].pasted.shape
        (224, 224, 3)
    """

    forward_kwargs = {'seed', 'mask_ratio'}
    visualize_kwargs = {'show', 'out_dir'}

    def __init__(
        self,
        model: Union[str, Config],
        weights: str,
        device: Optional[str] = None,
        img_size: Optional[Union[int, Sequence[int]]] = None,
        show_progress: bool = False,
    ) -> None:
        self.img_size = img_size
        self._in_folder = False
        self._broken: Dict[str, str] = {}  # path -> reason
        super().__init__(model, weights, device, 'mmpretrain', show_progress)

    def __call__(
        self,
        inputs: Union[Input, Sequence[Input]],
        batch_size: int = 8,
        seed: int = 0,
        mask_ratio: Optional[float] = None,
        show: bool = False,
        out_dir: Optional[str] = None,
    ) -> dict:
        """Reconstruct images.

        Args:
            inputs (str | np.ndarray | Sequence): Files, a folder of any depth, or arrays of
                shape H x W x C (BGR for three channels; H x W for one). Files are read as the
                config's training images are. One of a folder that cannot be read is left out and
                named in the log.
            batch_size (int): Images at once. Defaults to 8.
            seed (int): Of the masks. Defaults to 0.
            mask_ratio (float, optional): Share of hidden units. Defaults to None, the model's.
            show (bool): Show each picture in a window. Defaults to False.
            out_dir (str, optional): Folder for a PNG per image. Defaults to None.

        Returns:
            dict: ``predictions``, a list of :class:`Reconstruction`; ``visualization``, a list
            of RGB pictures with the four parts side by side; ``left_out``, from the paths of a
            folder's pictures that cannot be read to the reasons.

        Raises:
            PictureError: If a file that was named, or every picture of a folder, cannot be read.
        """
        return super().__call__(
            inputs, batch_size=batch_size, seed=seed, mask_ratio=mask_ratio, show=show,
            out_dir=out_dir,
        )  # fmt: skip

    def _init_model(self, cfg: Config, weights: str, device: str = 'cpu') -> nn.Module:
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        cfg.model.backbone.init_cfg = None
        model = MODELS.build(cfg.model)
        if not hasattr(model, 'reconstruct'):
            raise ValueError(f'the config must be of GreenMIM pre-training, got {cfg.model.type}')
        state_dict = weights_of(load_checkpoint_file(weights), weights)
        differences = load_and_compare(model, state_dict)
        if differences:
            raise ValueError(f'{weights} does not fit the config. {differences.describe()}')
        return model.to(device).eval()

    def _init_pipeline(self, cfg: Config) -> Compose:
        size = self.img_size or cfg.model.backbone.get('img_size', 224)
        self.load = Compose([loading_transform(cfg)])
        return image_pipeline(check_img_size(self.model, size))

    def _init_visualizer(self, cfg: Config) -> None:
        return None

    def _inputs_to_list(self, inputs: Union[Input, Sequence[Input]]) -> list:
        self._broken = {}
        self._in_folder = isinstance(inputs, (str, Path)) and Path(inputs).is_dir()
        if self._in_folder:
            found = find_images(str(inputs))
            if not found:
                raise ValueError(f'no image ({", ".join(EXTENSIONS)}) below {inputs}')
            return found
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    def preprocess(self, inputs: list, batch_size: int = 1, **kwargs) -> Iterator[Tensor]:
        """Batches of images in 0..255, B x C x H x W; three channels are BGR."""
        batch = []
        for image in inputs:
            if isinstance(image, np.ndarray):
                data = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
            else:
                data = self._read(str(image))
                if data is None:
                    continue
            batch.append(self.pipeline(data)['inputs'])
            name = 'array' if isinstance(image, np.ndarray) else str(image)
            check_channels(self.model, batch[-1], name)
            if len(batch) == batch_size:
                yield torch.stack(batch)
                batch = []
        if batch:
            yield torch.stack(batch)
        if self._broken and len(self._broken) == len(inputs):
            path, reason = next(iter(self._broken.items()))
            raise PictureError(
                f'none of {len(inputs):,} pictures can be read, first {printable(path)} ({reason})'
            )

    def _read(self, path: str) -> Optional[dict]:
        """A picture; None if it lies in the folder that was named and cannot be read."""
        try:
            return self.load(dict(img_path=path))
        except ValueRangeError:  # the setting is wrong, not the picture
            raise
        except Exception as error:
            reason = str(error.__cause__ or error)
            message = f'image {printable(path)} cannot be read ({reason})'
            if not self._in_folder:
                raise PictureError(
                    f'{message}; leave it out, or name a folder: broken ones are left out there'
                ) from error
        self._broken[path] = reason
        MMLogger.get_current_instance().warning(f'{message}; it is left out')
        return None

    def forward(
        self, inputs: Tensor, seed: int = 0, mask_ratio: Optional[float] = None
    ) -> List[Reconstruction]:
        return reconstruct(self.model, inputs, seed, mask_ratio)

    def visualize(
        self,
        inputs: list,
        preds: List[Reconstruction],
        show: bool = False,
        out_dir: Optional[str] = None,
    ) -> List[np.ndarray]:
        pictures = [prediction.picture() for prediction in preds]
        if self._in_folder:
            inputs = [path for path in inputs if path not in self._broken]
        for number, (image, picture) in enumerate(zip(inputs, pictures)):
            stem = 'array' if isinstance(image, np.ndarray) else Path(image).stem
            if out_dir is not None:  # numbered: names of different folders may be equal
                file = Path(out_dir) / f'{number:04d}_{stem}.png'
                mmcv.imwrite(picture[..., ::-1], str(file))
            if show:
                mmcv.imshow(picture[..., ::-1], f'{stem}: image, visible, prediction, both')
        return pictures

    def postprocess(
        self,
        preds: List[Reconstruction],
        visualization: List[np.ndarray],
        return_datasamples: bool = False,
    ) -> dict:
        return dict(predictions=preds, visualization=visualization, left_out=self._broken)

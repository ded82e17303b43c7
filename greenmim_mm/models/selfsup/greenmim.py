"""GreenMIM: masked image modelling that encodes the visible units only."""

from typing import Dict, List, Optional, Tuple

from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor

from ...registry import MODELS
from ...sparsity import RandomMasking


@MODELS.register_module()
class GreenMIM(BaseSelfSupervisor):
    """Pre-training algorithm of GreenMIM.

    Mask -> encoder on the visible units -> decoder on all -> loss on the hidden.

    Source: `Green Hierarchical Vision Transformer for Masked Image Modeling
    <https://arxiv.org/abs/2205.13515>`_.

    Args:
        backbone (dict): An encoder with ``mask_unit`` and ``forward(images, visible)``.
        neck (dict): The decoder, for example :class:`GreenMIMNeck`.
        head (dict): The loss, for example :class:`GreenMIMHead`.
        mask_ratio (float): Share of hidden units. Defaults to 0.75.
        per_image (bool): Draw one mask per image instead of one per batch on
            each process. Defaults to False, as in the paper.
        mask_seed (int, optional): Seed of the masks. Defaults to None, the seed
            of the runner (0 without a runner).
        data_preprocessor (dict, optional): Normalisation of the images.
            Defaults to None, ``SelfSupDataPreprocessor`` without arguments.
        **kwargs: Those of ``mmpretrain.BaseSelfSupervisor``; ``target_generator`` and
            ``pretrained`` must be None.

    Raises:
        ValueError: If an option has no use here, head or neck predict units of another size than
            the backbone masks, ``mask_ratio`` is not between 0 and 1, or the channels of images
            that have not three are to be swapped.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        mask_ratio: float = 0.75,
        per_image: bool = False,
        mask_seed: Optional[int] = None,
        data_preprocessor: Optional[dict] = None,
        **kwargs,
    ) -> None:
        for name, instead in (
            ('target_generator', 'the target is the pixels, see head'),
            ('pretrained', "set backbone.init_cfg=dict(type='Pretrained', ...), or load_from"),
        ):
            if kwargs.get(name) is not None:
                raise ValueError(f'{name} must be None, got {kwargs[name]!r}: {instead}')
        # named with its scope, so that a config of any default scope can build the model
        data_preprocessor = {
            'type': 'mmpretrain.SelfSupDataPreprocessor',
            **(data_preprocessor or {}),
        }
        super().__init__(
            backbone=backbone, neck=neck, head=head, data_preprocessor=data_preprocessor, **kwargs
        )
        unit = self.backbone.mask_unit
        if self.head.patch_size != unit:
            raise ValueError(
                f"head.patch_size must be the backbone's mask unit, {unit} pixels, "
                f'got {self.head.patch_size}'
            )
        predicted = self.neck.decoder_pred.out_features
        if predicted != unit**2 * self.head.in_channels:
            raise ValueError(
                f'neck.patch_size must be the mask unit, {unit} pixels: it predicts {predicted} '
                f'numbers per unit instead of {unit**2 * self.head.in_channels}'
            )
        if self.head.in_channels != 3 and self.data_preprocessor._channel_conversion:
            raise ValueError(
                'data_preprocessor.to_rgb must be False for images that have not three channels, '
                f'got head.in_channels={self.head.in_channels}'
            )
        self.masking = RandomMasking(mask_ratio, unit, per_image)
        self.mask_seed = mask_seed

    def extract_feat(self, inputs: Tensor) -> Tuple[Tensor, ...]:
        """Dense features of whole images, B x C x h x w per output stage."""
        return self.backbone(inputs)

    def draw_visible(self, inputs: Tensor, iteration: Optional[int] = None) -> Tensor:
        """Mask of a step: by seed, rank and iteration of the runner.

        Args:
            inputs (Tensor): Images of shape B x C x H x W.
            iteration (int, optional): Defaults to None, that of the runner.
        """
        info = MessageHub.get_current_instance()
        if iteration is None:
            iteration = info.get_info('iter', 0)
        seed = info.get_info('seed', 0) if self.mask_seed is None else self.mask_seed
        size = tuple(inputs.shape[-2:])
        return self.masking(size, len(inputs), seed=seed, rank=get_rank(), iteration=iteration)

    def loss(
        self, inputs: Tensor, data_samples: Optional[List[DataSample]] = None, **kwargs
    ) -> Dict[str, Tensor]:
        """Loss of one training step.

        Args:
            inputs (Tensor): Normalised images of shape B x C x H x W.
            data_samples (List[DataSample], optional): Not used.
        """
        visible = self.draw_visible(inputs)
        latent = self.backbone(inputs, visible)[-1]
        pred = self.neck(latent, visible)
        return dict(loss=self.head.loss(pred, inputs, self._hidden(visible, inputs)))

    def reconstruct(self, inputs: Tensor, visible: Tensor) -> Tensor:
        """Predict all units; normalised targets are undone.

        Args:
            inputs (Tensor): Normalised images of shape B x C x H x W.
            visible (Tensor): Bool of shape N x Mh x Mw, N = 1 or B.

        Returns:
            Tensor: Normalised images of shape B x C x H x W.
        """
        pred = self.neck(self.backbone(inputs, visible)[-1], visible)
        return self.head.unpatchify(self.head.denormalize(pred, inputs), visible.shape[1:])

    @staticmethod
    def _hidden(visible: Tensor, inputs: Tensor) -> Tensor:
        """MMPretrain's polarity, 1 = masked, of shape B x (Mh * Mw)."""
        hidden = (~visible).flatten(1).to(inputs.device, inputs.dtype, non_blocking=True)
        return hidden.expand(len(inputs), -1)

"""Reconstruction loss for images of any shape."""

from typing import Optional, Tuple

import torch
from mmpretrain.models import MAEPretrainHead
from torch import Tensor

from ...registry import MODELS
from ...sparsity import unit_grid


@MODELS.register_module()
class GreenMIMHead(MAEPretrainHead):
    """MMPretrain's ``MAEPretrainHead`` without its restriction to square images.

    Target: the pixels of the hidden units, normalised per unit with
    ``norm_pix=True``. In the mask of :meth:`loss`, 1 = hidden.

    Args:
        loss (dict): Config of the loss.
        norm_pix (bool): Whether to normalise the pixels of each unit. Defaults to False.
        patch_size (int): Side of a mask unit in pixels. Defaults to 16.
        in_channels (int): Colour channels. Defaults to 3.
    """

    def patchify(self, imgs: Tensor) -> Tensor:
        """Cut images of shape B x C x H x W into units, B x (Mh * Mw) x (p * p * C)."""
        p = self.patch_size
        rows, cols = unit_grid(imgs.shape[-2:], p)
        x = imgs.reshape(len(imgs), self.in_channels, rows, p, cols, p)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(len(imgs), rows * cols, -1)

    def unpatchify(self, x: Tensor, grid: Optional[Tuple[int, int]] = None) -> Tensor:
        """Join units into images, the inverse of :meth:`patchify`.

        Args:
            x (Tensor): Units of shape B x (Mh * Mw) x (p * p * C).
            grid (Tuple[int, int], optional): Mh and Mw. Defaults to None, a square.

        Raises:
            ValueError: If ``grid`` does not hold the number of units.
        """
        p = self.patch_size
        rows, cols = grid or (int(x.shape[1] ** 0.5),) * 2
        if rows * cols != x.shape[1]:
            raise ValueError(f'grid must hold {x.shape[1]} units, got {rows} x {cols}')
        x = x.reshape(len(x), rows, cols, p, p, self.in_channels)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(len(x), self.in_channels, rows * p, cols * p)

    def denormalize(self, pred: Tensor, images: Tensor) -> Tensor:
        """Undo the normalisation of the target, with the statistics of ``images``.

        Args:
            pred (Tensor): Predicted units of shape B x (Mh * Mw) x (p * p * C).
            images (Tensor): The original images, B x C x H x W.
        """
        if not self.norm_pix:
            return pred
        units = self.patchify(images)
        variance, mean = torch.var_mean(units, dim=-1, keepdim=True)
        return pred * (variance + 1.0e-6) ** 0.5 + mean

"""Decoder: visible units -> full grid -> pixels."""

from functools import lru_cache
from typing import Optional, Tuple, Union

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_2d_sincos_position_embedding
from torch import Tensor, nn

from ...registry import MODELS
from ...sparsity import scatter_to_grid, token_layout


@lru_cache(maxsize=32)
def position_embedding(grid: Tuple[int, int], channels: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of a grid, in raster order.

    The first half of the channels tells the row, the second half the column:
    sines, then cosines, of position / 10000^(4 k / C) for k from 0 to C / 4 - 1.

    MMPretrain's function flattens its grid column by column. It gets height and
    width in exchanged places here, so that its columns are our rows. On a square
    grid that changes no value.

    Args:
        grid (Tuple[int, int]): Height Mh and width Mw in mask units.
        channels (int): Width C of the decoder, a multiple of 4.

    Returns:
        Tensor: float32 of shape 1 x (Mh * Mw) x C, on the CPU.
    """
    height, width = grid
    return build_2d_sincos_position_embedding((width, height), channels).float()


@MODELS.register_module()
class GreenMIMNeck(BaseModule):
    """Light decoder of GreenMIM.

    Embeds the visible units, puts them at their places in the full grid, fills
    the others with a learned token, adds fixed 2-D sine-cosine positions, runs
    transformer blocks and predicts the pixels of every unit. Places come from
    ``visible`` alone.

    Source: `GreenMIM <https://arxiv.org/abs/2205.13515>`_, Sec. 4.1 (one block
    of width 512, as in the released code).

    Args:
        in_channels (int): Channels of the last encoder stage. Defaults to 1024.
        embed_dims (int): Width of the decoder. Defaults to 512.
        depth (int): Number of transformer blocks. Defaults to 1.
        num_heads (int): Attention heads. Defaults to 16.
        mlp_ratio (float): Hidden width of the MLP over ``embed_dims``. Defaults to 4.
        patch_size (int): Side of a mask unit in pixels. Defaults to 32.
        out_channels (int): Colour channels to predict. Defaults to 3.
        norm_cfg (dict): Norm layers. Defaults to ``dict(type='LN', eps=1e-6)``.
        init_cfg (dict | list, optional): Defaults to None.

    Raises:
        ValueError: If ``embed_dims`` is not a multiple of ``num_heads`` and of 4.
    """

    def __init__(
        self,
        in_channels: int = 1024,
        embed_dims: int = 512,
        depth: int = 1,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        patch_size: int = 32,
        out_channels: int = 3,
        norm_cfg: dict = dict(type='LN', eps=1e-6),
        init_cfg: Optional[Union[dict, list]] = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims % num_heads or embed_dims % 4:
            raise ValueError(
                f'embed_dims must be a multiple of num_heads ({num_heads}) and of 4 (sine-cosine '
                f'positions), got {embed_dims}'
            )
        self.decoder_embed = nn.Linear(in_channels, embed_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.decoder_blocks = nn.ModuleList(
            TransformerEncoderLayer(
                embed_dims, num_heads, int(mlp_ratio * embed_dims), qkv_bias=True, norm_cfg=norm_cfg
            )
            for _ in range(depth)
        )
        self.decoder_norm = build_norm_layer(norm_cfg, embed_dims)[1]
        self.decoder_pred = nn.Linear(embed_dims, patch_size**2 * out_channels)

    def init_weights(self) -> None:
        super().init_weights()
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Predict the pixels of every mask unit.

        Args:
            x (Tensor): Features of the visible units, in raster order, of shape B x U x C.
            visible (Tensor): Bool of shape N x Mh x Mw, N = 1 or B, on the CPU.

        Returns:
            Tensor: Of shape B x (Mh * Mw) x (patch_size^2 * out_channels), in
            raster order; inside a unit row, column, colour.
        """
        x = self._restore(self.decoder_embed(x), visible)
        position = position_embedding(tuple(visible.shape[1:]), x.shape[-1])
        # in float32: bfloat16 has 8 bits for a position; autocast casts before the next product
        summed = x + position.to(x.device, non_blocking=True)
        x = summed if torch.is_autocast_enabled(x.device.type) else summed.to(x.dtype)
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoder_norm(x))

    def _restore(self, x: Tensor, visible: Tensor) -> Tensor:
        """Visible units at their places, the mask token elsewhere: B x (Mh * Mw) x C."""
        full = scatter_to_grid(x, token_layout(visible, side=1)).flatten(1, 2)
        seen = visible.flatten(1).to(x.device, non_blocking=True)[:, :, None]
        return torch.where(seen, full, self.mask_token.to(x.dtype))

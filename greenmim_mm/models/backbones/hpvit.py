"""HPViT: a pre-trained plain ViT made hierarchical."""

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ...registry import MODELS
from .staged_vit import Grid, StagedViT


@MODELS.register_module()
class HPViT(StagedViT):
    """Plain ViT with a finer patch embedding and pooling between its blocks.

    The patch embedding keeps its pre-trained kernel of 16 pixels at stride 4; 2 x 2
    pooling between the blocks takes the tokens from 1/4 to 1/32 of the image. Blocks and
    width stay, so the weights of any plain ViT (MAE, DeiT, ...) serve as they are.

    Source: `Rethinking Hierarchies in Pre-trained Plain Vision Transformer
    <https://arxiv.org/abs/2211.01785>`_. Of the paper only the abstract could be read, no code was
    released. From there: stride 16 to 4, pooling by convolution or average, reuse
    of blocks and weights. **Ours, for want of a source:** where the pools are
    (``depths``), the resized position embedding, windows and global blocks (as
    in ViTDet), relative position, the class token that passes pools unchanged, norms of outputs.

    Checkpoints of ``mmpretrain.VisionTransformer`` and of MAE pre-training with MMPretrain load as
    they are (``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``); for other
    layouts see ``tools/model_converters/vit_to_hpvit.py``.

    Note:
        With ``patch_stride=16, depths=(12,)`` this is the plain ViT, and with
        ``window_size=14`` the backbone of ViTDet but for the padding of windows, which
        is masked here.

    Args:
        arch (str | dict): As in ``mmpretrain.VisionTransformer``. Defaults to 'base'.
        patch_stride (int): Stride of the patch embedding in pixels. Defaults to 4.
        depths (Sequence[int], optional): Blocks per stage. Defaults to None: one at 1/4,
            one at 1/8, the last two at 1/32, all others at 1/16, where they were pre-trained.
        pool (str): ``'conv'``: a depth-wise 2 x 2 convolution that starts as the average;
            ``'avg'``: the average. Defaults to 'conv'.
        with_cls_token (bool): Keep the class token. Every window sees it, it
            sees all tokens, and pools leave it alone. Defaults to False.
        out_type (str): As in the parent. Defaults to 'featmap'.
        **kwargs: Those of :class:`StagedViT` and ``mmpretrain.VisionTransformer``.

    Example:
        >>> model = HPViT('base', window_size=14, out_indices=(0, 1, 2, 3))
        >>> [tuple(out.shape) for out in model(torch.rand(1, 3, 224, 320))]
        [(1, 768, 56, 80), (1, 768, 28, 40), (1, 768, 14, 20), (1, 768, 7, 10)]
    """

    def __init__(
        self,
        arch='base',
        *,
        patch_stride: int = 4,
        depths: Optional[Sequence[int]] = None,
        pool: str = 'conv',
        with_cls_token: bool = False,
        out_type: str = 'featmap',
        **kwargs,
    ) -> None:
        if pool not in ('conv', 'avg'):
            raise ValueError(f"pool must be 'conv' or 'avg', got {pool!r}")
        if depths is None:
            number = (arch if isinstance(arch, dict) else self._arch_of(arch))['num_layers']
            depths = (1, 1, number - 4, 2)
        super().__init__(
            arch=arch,
            patch_stride=patch_stride,
            depths=depths,
            with_cls_token=with_cls_token,
            out_type=out_type,
            **kwargs,
        )
        channels, pools = self.embed_dims, len(self.depths) - 1
        if pool == 'conv':
            layers = [nn.Conv2d(channels, channels, 2, 2, groups=channels) for _ in range(pools)]
        else:
            layers = [nn.AvgPool2d(2) for _ in range(pools)]
        self.pools = nn.ModuleList(layers)
        self.pad_multiple = patch_stride * 2**pools  # the stride of the last stage
        self.freeze_pools()

    @classmethod
    def _arch_of(cls, name: str) -> dict:
        if name not in cls.arch_zoo:
            raise ValueError(f'arch must be one of {sorted(cls.arch_zoo)} or a dict, got {name!r}')
        return cls.arch_zoo[name]

    def init_as_parent(self) -> None:
        super().init_as_parent()
        for pool in self.pools:
            if isinstance(pool, nn.Conv2d):  # the average
                nn.init.constant_(pool.weight, 1 / pool.weight[0].numel())
                nn.init.zeros_(pool.bias)

    def new_in_transfer(self) -> Tuple[str, ...]:
        return (*super().new_in_transfer(), 'pools')

    def pool(self, x: Tensor, stage: int, grid: Grid, patches: Grid) -> Tuple[Tensor, Grid]:
        extra = self.num_extra_tokens
        image = x[:, extra:].transpose(1, 2).unflatten(2, grid)
        image = self.pools[stage](image)
        tokens = image.flatten(2).transpose(1, 2)
        if extra:
            tokens = torch.cat((x[:, :extra], tokens), dim=1)
        return tokens, tuple(image.shape[-2:])

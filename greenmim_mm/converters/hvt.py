"""Released HVT checkpoints."""

import re
from typing import Tuple

from ..models.backbones import HVT
from .conversion import Conversion
from .vit import TIMM_TO_MMPRETRAIN


def convert_hvt(path: str, pool: str = '1d') -> Tuple[Conversion, str]:
    """A released HVT (``ziplab/HVT``) as a classifier of MMPretrain with an ``HVT`` backbone.

    Its layout is timm's, and ``blocks.i.pos_embed`` after each block that a pool follows.

    Args:
        path (str): Path or URL of the checkpoint.
        pool (str): Of the target. ``'2d'`` starts the position embeddings after the pools anew:
            those of the file belong to a sequence without a grid. Defaults to '1d'.

    Returns:
        Tuple[Conversion, str]: The weights (``backbone.*``, ``head.fc.*``) and
        the name of the architecture.

    Raises:
        ValueError: If it is none of the known architectures, or tensors are left.
    """
    conversion = Conversion(path)
    left = conversion.left
    blocks = sorted(
        int(m[1]) for m in (re.fullmatch(r'blocks\.(\d+)\.pos_embed', key) for key in left) if m
    )
    width = left['pos_embed'].shape[-1] if 'pos_embed' in left else None
    names = [
        name
        for name, arch in HVT.arch_zoo.items()
        if arch['embed_dims'] == width and arch['pool_after'] == tuple(blocks)
    ]
    if not names:
        raise ValueError(
            f'{path} is no released HVT: width {width}, pools after blocks {blocks}; known are '
            f'{ {name: (a["embed_dims"], a["pool_after"]) for name, a in HVT.arch_zoo.items()} }'
        )
    side = round(left['pos_embed'].shape[1] ** 0.5)
    model = HVT(names[0], pool=pool, img_size=side * left['patch_embed.proj.weight'].shape[-1])
    model.init_weights()
    for key in ('weight', 'bias'):
        if f'head.{key}' in left:
            conversion.copy(f'head.{key}', f'head.fc.{key}')
    head, conversion.weights = conversion.weights, {}
    for number, block in enumerate(blocks):
        key = f'blocks.{block}.pos_embed'
        if pool == '1d':
            conversion.copy(key, f'pos_embeds.{number}')
        else:
            conversion.skip(key, "of a sequence, pool='2d' has a grid")
    conversion.copy_matching(TIMM_TO_MMPRETRAIN)
    conversion.fit(model, ('pos_embeds',) if pool == '2d' else ())
    backbone = {f'backbone.{key}': value for key, value in conversion.weights.items()}
    conversion.weights = {**backbone, **head}
    return conversion, names[0]

"""Twins-SVT of the released GreenMIM and of Twins' own repository."""

import re
from typing import Dict

from torch import Tensor

from ..models.backbones import GreenSVT
from .conversion import Conversion, first_match
from .swin import NOT_NEEDED

TWINS_TO_MMPRETRAIN = {
    r'patch_embeds\.(\d+)\.proj\.(weight|bias)': r'patch_embeds.\1.projection.\2',
    r'patch_embeds\.(\d+)\.norm\.(weight|bias)': r'patch_embeds.\1.norm.\2',
    r'pos_block\.(\d+)\.proj\.0\.(weight|bias)': r'position_encodings.\1.proj.\2',
    r'blocks\.(\d+)\.(\d+)\.(norm[12]|attn\.\w+)\.(weight|bias)': r'stages.\1.\2.\3.\4',
    r'blocks\.(\d+)\.(\d+)\.mlp\.fc1\.(weight|bias)': r'stages.\1.\2.ffn.layers.0.0.\3',
    r'blocks\.(\d+)\.(\d+)\.mlp\.fc2\.(weight|bias)': r'stages.\1.\2.ffn.layers.1.\3',
}


def _build(conversion: Conversion) -> GreenSVT:
    left: Dict[str, Tensor] = conversion.left
    stages = sum(bool(re.fullmatch(r'patch_embeds\.\d+\.proj\.weight', key)) for key in left)
    if not stages or 'pos_block.0.proj.0.weight' not in left:
        raise ValueError(
            f'{conversion.path} is no Twins-SVT: patch_embeds.*.proj and pos_block.*.proj.0 are '
            f'expected, the keys are {", ".join(list(left)[:6])}, ...'
        )
    dims = [len(left[f'patch_embeds.{i}.proj.bias']) for i in range(stages)]
    depths = [
        1 + max(int(m[1]) for m in (re.match(rf'blocks\.{i}\.(\d+)\.', k) for k in left) if m)
        for i in range(stages)
    ]
    arches = [
        arch
        for arch in GreenSVT.arch_zoo.values()
        if (arch['embed_dims'], arch['depths']) == (dims, depths)
    ]
    if not arches:
        raise ValueError(
            f'{conversion.path}: no Twins-SVT is known with widths {dims} and depths {depths}'
        )
    model = GreenSVT(
        arches[0],
        qkv_bias='blocks.0.0.attn.qkv.bias' in left,
        norm_after_stage=[i == stages - 1 for i in range(stages)],
        norm_cfg=dict(type='LN', eps=1e-6),
    )
    model.init_weights()
    return model


def _as_conv(weight: Tensor, own: Tensor) -> Tensor:
    """A kernel in the layout of ``nn.Conv2d`` from one of spconv.

    spconv has (out, h, w, in), or (h, w, in, out) in its first versions.
    """
    for axes in ((0, 1, 2, 3), (0, 3, 1, 2), (3, 2, 0, 1)):
        if weight.permute(axes).shape == own.shape:
            return weight.permute(axes).contiguous()
    return weight  # loading reports the shapes


def convert_twins(path: str) -> Conversion:
    """Weights of a Twins-SVT for ``GreenSVT`` (and ``mmpretrain.SVT``).

    The released GreenMIM computes its strided convolutions with spconv, whose kernels are
    permuted.

    Args:
        path (str): Path or URL of the checkpoint.

    Raises:
        ValueError: If it is no Twins-SVT, or has tensors that have no place.
    """
    conversion = Conversion(path, prefixes=('encoder.',))
    conversion.skip_matching(NOT_NEEDED)
    model = _build(conversion)
    own, last = model.state_dict(), len(model.depths) - 1
    for key in list(conversion.left):
        new = first_match(key, TWINS_TO_MMPRETRAIN)
        if key in ('norm.weight', 'norm.bias'):
            new = f'norm_after_stage{last}.{key.split(".")[1]}'
        if new is None:
            continue
        value = conversion.left[key]
        if value.ndim == 4 and new in own and value.shape != own[new].shape:
            conversion.put([key], new, _as_conv(value, own[new]), 'permuted (spconv)')
        else:
            conversion.copy(key, new)
    conversion.fit(model)
    return conversion

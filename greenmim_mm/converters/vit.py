"""Plain ViTs of other code bases as ``mmpretrain.VisionTransformer``, and so HPViT."""

import re

import torch
from torch import nn

from .conversion import Conversion

# timm's names, which MAE, DeiT, SimMIM and HVT share, and ours
TIMM_TO_MMPRETRAIN = {
    r'(cls_token|pos_embed)': r'\1',
    r'patch_embed\.proj\.(weight|bias)': r'patch_embed.projection.\1',
    r'blocks\.(\d+)\.norm([12])\.(weight|bias)': r'layers.\1.ln\2.\3',
    r'blocks\.(\d+)\.attn\.(qkv|proj)\.(weight|bias)': r'layers.\1.attn.\2.\3',
    r'blocks\.(\d+)\.mlp\.fc1\.(weight|bias)': r'layers.\1.ffn.layers.0.0.\2',
    r'blocks\.(\d+)\.mlp\.fc2\.(weight|bias)': r'layers.\1.ffn.layers.1.\2',
    r'blocks\.(\d+)\.(?:ls1\.gamma|gamma_1)': r'layers.\1.attn.gamma1.weight',
    r'blocks\.(\d+)\.(?:ls2\.gamma|gamma_2)': r'layers.\1.ffn.gamma2.weight',
    r'norm\.(weight|bias)': r'ln1.\1',
    r'fc_norm\.(weight|bias)': r'ln2.\1',
}
MMPRETRAIN = {r'((?:cls_token|pos_embed|patch_embed|layers|ln1|ln2|pre_norm)\b.*)': r'\1'}
_NOT_NEEDED = {
    r'decoder.*|mask_token': 'pre-training decoder',
    r'head(_dist)?\..*|fc\..*': 'classifier',
    r'dist_token': 'distillation token',
    r'.*relative_position_index': 'is computed',
}


def _merge_query_and_value_bias(conversion: Conversion) -> None:
    """SimMIM and BEiT have no bias of keys: zeros, which softmax does not see anyway."""
    for key in [k for k in conversion.left if k.endswith('attn.q_bias')]:
        block = re.fullmatch(r'(?:blocks|layers)\.(\d+)\.attn\.q_bias', key)[1]
        query, value = conversion.left[key], conversion.left[key.replace('q_bias', 'v_bias')]
        conversion.put(
            [key, key.replace('q_bias', 'v_bias')],
            f'layers.{block}.attn.qkv.bias',
            torch.cat([query, torch.zeros_like(query), value]),
            'merged',
        )


def _cut_distillation_position(conversion: Conversion) -> None:
    position = conversion.left['pos_embed']
    cut = torch.cat([position[:, :1], position[:, 2:]], dim=1)
    conversion.put(['pos_embed'], 'pos_embed', cut, 'cut (distillation token)')


def _relative_positions(conversion: Conversion, vit: nn.Module) -> None:
    """Tables of SimMIM and BEiT, of all blocks or one for all, without the class token's rows."""
    shared = 'rel_pos_bias.relative_position_bias_table'
    tables = {k: conversion.left[k] for k in conversion.left if k.endswith('position_bias_table')}
    if not tables:
        return
    own = getattr(vit.layers[0].attn, 'relative_position_bias_table', None)
    if own is None:
        raise ValueError(
            f'{conversion.path} has relative position bias: set model.backbone.relative_position='
            'True, and layer_scale_init_value where it has gamma_1 (--cfg-options)'
        )
    for key, table in tables.items():
        number = 3 if round((len(table) - 3) ** 0.5) ** 2 == len(table) - 3 else 0
        table = table[: len(table) - number]
        side, own_side = (round(len(t) ** 0.5) for t in (table, own))
        if side != own_side:
            image = table.t().reshape(1, -1, side, side).float()
            image = nn.functional.interpolate(
                image, (own_side, own_side), mode='bicubic', align_corners=True
            )
            table = image.flatten(2)[0].t().to(table.dtype)
        blocks = range(len(vit.layers)) if key == shared else [int(key.split('.')[1])]
        action = 'cut (class token)' if side == own_side else 'resized, cut (class token)'
        for i in blocks:
            old = [key] if i == blocks[0] else []
            name = f'layers.{i}.attn.relative_position_bias_table'
            conversion.put(old, name, table.clone(), action)
    if 'pos_embed' not in conversion.left:
        conversion.put([], 'pos_embed', torch.zeros_like(vit.pos_embed), 'initialised')


def convert_vit(path: str, vit: nn.Module) -> Conversion:
    """Weights of a plain ViT for an HPViT (or any :class:`StagedViT` or plain ViT of MMPretrain).

    Known layouts: MMPretrain (MAE pre-training, classification), the original MAE, DeiT with and
    without distillation, timm, and SimMIM's ViT, whose relative position bias
    needs ``relative_position=True`` and ``layer_scale_init_value``. Blocks are copied
    as they are; the position embedding is resized.

    Args:
        path (str): Path or URL of the checkpoint.
        vit (nn.Module): The target, initialised; it is not changed.

    Raises:
        ValueError: If the file has tensors that have no place, or lacks some.
    """
    conversion = Conversion(path, prefixes=('backbone.', 'encoder.'))
    if 'dist_token' in conversion.left:
        _cut_distillation_position(conversion)
    conversion.skip_matching(_NOT_NEEDED)
    _merge_query_and_value_bias(conversion)
    _relative_positions(conversion, vit)
    conversion.copy_matching({**TIMM_TO_MMPRETRAIN, **MMPRETRAIN})
    conversion.fit(vit, vit.new_in_transfer())
    return conversion

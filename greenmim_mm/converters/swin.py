"""Swin of the released GreenMIM, of SimMIM and of Swin's own repository; to timm, too."""

import re
from typing import Dict, Tuple

import torch.nn.functional as F
from torch import Tensor

from ..models.backbones import GreenSwinTransformer
from .conversion import Conversion, first_match

SWIN_TO_MMPRETRAIN = {
    r'patch_embed\.proj\.(weight|bias)': r'patch_embed.projection.\1',
    r'patch_embed\.norm\.(weight|bias)': r'patch_embed.norm.\1',
    r'absolute_pos_embed': r'absolute_pos_embed',
    r'layers\.(\d+)\.blocks\.(\d+)\.norm([12])\.(\w+)': r'stages.\1.blocks.\2.norm\3.\4',
    r'layers\.(\d+)\.blocks\.(\d+)\.attn\.(qkv|proj)\.(\w+)':
    r'stages.\1.blocks.\2.attn.w_msa.\3.\4',
    r'layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc1\.(\w+)': r'stages.\1.blocks.\2.ffn.layers.0.0.\3',
    r'layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc2\.(\w+)': r'stages.\1.blocks.\2.ffn.layers.1.\3',
}  # fmt: skip
NOT_NEEDED = {
    r'decoder.*|mask_token': 'pre-training decoder',
    r'head\..*': 'classifier',
    r'.*(relative_position_index|relative_coords_table|attn_mask)': 'is computed',
}
# place of the input at (row, column) = (0, 0), (0, 1), (1, 0), (1, 1) of a 2 x 2 merge
MERGE_ORDERS = {'row': [0, 1, 2, 3], 'column': [0, 2, 1, 3]}


def merge_to_channel_major(weight: Tensor, order: str) -> Tensor:
    """Inputs of a 2 x 2 merge (last axis, 4 C) from four blocks of C to C blocks of four.

    ``nn.Unfold``, and so MMPretrain and MMDetection, has the four places of a channel
    side by side, row by row; Swin has the four places one after another.

    Args:
        weight (Tensor): Of shape ... x 4 C.
        order (str): Of the places in ``weight``: ``'row'`` or ``'column'`` first.
    """
    places = weight.unflatten(-1, (4, -1))[..., MERGE_ORDERS[order], :]
    return places.transpose(-1, -2).flatten(-2)


def merge_to_place_major(weight: Tensor, order: str) -> Tensor:
    """The inverse of :func:`merge_to_channel_major`; both orders are their own inverse."""
    places = weight.unflatten(-1, (-1, 4)).transpose(-1, -2)
    return places[..., MERGE_ORDERS[order], :].flatten(-2)


def _build(conversion: Conversion, img_size: int) -> GreenSwinTransformer:
    """The network that the file is of, by the names and shapes in it."""
    left = conversion.left
    tables: Dict[Tuple[int, int], Tensor] = {}
    for key, value in left.items():
        match = re.fullmatch(
            r'layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table', key
        )
        if match:
            tables[int(match[1]), int(match[2])] = value
    if 'patch_embed.proj.weight' not in left or not tables:
        raise ValueError(
            f'{conversion.path} is no Swin: patch_embed.proj.weight and '
            'layers.*.blocks.*.attn.relative_position_bias_table are expected, the keys are '
            f'{", ".join(list(left)[:6])}, ...'
        )
    stages = 1 + max(stage for stage, _ in tables)
    depths = [sum(s == stage for s, _ in tables) for stage in range(stages)]
    heads = [tables[stage, 0].shape[1] for stage in range(stages)]
    embed_dims = len(left['patch_embed.proj.weight'])
    window = (round(len(tables[0, 0]) ** 0.5) + 1) // 2
    model = GreenSwinTransformer(
        dict(embed_dims=embed_dims, depths=depths, num_heads=heads),
        img_size=img_size,
        window_size=window,
        use_abs_pos_embed='absolute_pos_embed' in left,
        out_indices=(stages - 1,),
    )
    model.init_weights()
    return model


def convert_swin(path: str, merge_order: str, img_size: int = 224) -> Conversion:
    """Weights of a Swin for ``GreenSwinTransformer`` (and MMPretrain's and MMDetection's Swin).

    Read are the layouts of the released GreenMIM, SimMIM, Swin's own repository and timm, as
    ``publish_model.py --to timm`` writes it, too.

    Where the file has a smaller table because a map is smaller than the window (14 px
    windows on the 7 x 7 map of the last stage), its offsets keep their meaning: it becomes the
    middle of ours, and the edge is repeated outwards.

    Args:
        path (str): Path or URL of the checkpoint.
        merge_order (str): Order of the four inputs of a patch merging in the file. ``'column'``:
            Swin, SimMIM, and GreenMIM since January 2023. ``'row'``: GreenMIM before, as its
            published Swin-B weights probably are (by their date; not verified).
        img_size (int): Pixels that it was trained at. Defaults to 224.

    Raises:
        ValueError: If it is no Swin, or has tensors that have no place.
    """
    if merge_order not in MERGE_ORDERS:
        raise ValueError(f'merge_order must be one of {list(MERGE_ORDERS)}, got {merge_order!r}')
    conversion = Conversion(path, prefixes=('encoder.',))
    conversion.skip_matching(NOT_NEEDED)
    model = _build(conversion, img_size)
    own = model.state_dict()
    last = len(model.stages) - 1
    # timm 0.9 and later has the merge at the start of a stage, all others at the end of the last
    of_timm = not any(key.startswith('layers.0.downsample.') for key in conversion.left)
    for key in list(conversion.left):
        value = conversion.left[key]
        if key in ('norm.weight', 'norm.bias'):
            conversion.copy(key, f'norm{last}.{key.split(".")[1]}')
        elif '.downsample.' in key:
            merged = merge_to_channel_major(value, merge_order)
            stage = int(key.split('.')[1]) - of_timm
            new = f'stages.{stage}.{key.split(".", 2)[2]}'
            conversion.put([key], new, merged, 'permuted')
        elif key.endswith('relative_position_bias_table'):
            new = key.replace('layers.', 'stages.').replace('.attn.', '.attn.w_msa.')
            side, own_side = (round(len(table) ** 0.5) for table in (value, own[new]))
            if side >= own_side:
                conversion.copy(key, new)
                continue
            image = value.t().reshape(1, -1, side, side)
            image = F.pad(image, [(own_side - side) // 2] * 4, mode='replicate')
            conversion.put([key], new, image.flatten(2)[0].t().contiguous(), 'put in the middle')
        elif (new := first_match(key, SWIN_TO_MMPRETRAIN)) is not None:
            conversion.copy(key, new)
    for key, value in own.items():
        if key.endswith('relative_position_index'):
            conversion.put([], key, value.clone(), 'computed')
    conversion.fit(model)
    return conversion


def mmpretrain_swin_to_timm(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """A Swin backbone of MMPretrain in the layout of ``timm.models.swin_transformer``.

    timm (0.9 and later) has the patch merging at the start of the next stage, its inputs
    column by column.

    Args:
        state_dict (Dict[str, Tensor]): Without prefix.

    Raises:
        ValueError: If a key is none of a Swin's.
    """
    rules = {
        r'patch_embed\.projection\.(\w+)': r'patch_embed.proj.\1',
        r'patch_embed\.norm\.(\w+)': r'patch_embed.norm.\1',
        r'stages\.(\d+)\.blocks\.(\d+)\.norm([12])\.(\w+)': r'layers.\1.blocks.\2.norm\3.\4',
        r'stages\.(\d+)\.blocks\.(\d+)\.attn\.w_msa\.(.*)': r'layers.\1.blocks.\2.attn.\3',
        r'stages\.(\d+)\.blocks\.(\d+)\.ffn\.layers\.0\.0\.(.*)': r'layers.\1.blocks.\2.mlp.fc1.\3',
        r'stages\.(\d+)\.blocks\.(\d+)\.ffn\.layers\.1\.(\w+)': r'layers.\1.blocks.\2.mlp.fc2.\3',
    }  # fmt: skip
    last = max(int(key.split('.')[1]) for key in state_dict if key.startswith('stages.'))
    converted, unknown = {}, []
    for key, value in state_dict.items():
        merge = re.fullmatch(r'stages\.(\d+)\.downsample\.(.*)', key)
        if key.endswith('relative_position_index'):
            continue  # timm computes it
        if merge:
            new = f'layers.{int(merge[1]) + 1}.downsample.{merge[2]}'
            value = merge_to_place_major(value, 'column')
        elif re.fullmatch(rf'norm{last}\.(\w+)', key):
            new = key.replace(f'norm{last}', 'norm')
        else:
            new = first_match(key, rules)
        if new is None:
            unknown.append(key)
        else:
            converted[new] = value
    if unknown:
        raise ValueError(f'no Swin of timm has {", ".join(unknown[:6])}')
    return converted

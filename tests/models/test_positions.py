"""Learned positions on grids that are not square: a place keeps what is learned about it."""

import pytest
import torch

from greenmim_mm.models import (
    HVT,
    GreenPVT,
    GreenSwinTransformer,
    GreenSwinTransformerV2,
    HPViT,
)
from tests.conftest import TINY
from tests.models.test_backbones import PVT, SWIN_V2

VIT = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=16)
SIZE = (64, 128)  # height and width in pixels that the positions are learned at
OPTIONS = dict(img_size=SIZE, interpolate_mode='bilinear')
CASES = {
    'hpvit': (HPViT, dict(arch=VIT, patch_stride=16, depths=(3,), out_indices=(0,), **OPTIONS)),
    'hvt_1d': (HVT, dict(arch=dict(VIT, pool_after=(0,)), out_type='raw', **OPTIONS)),
    'hvt_2d': (HVT, dict(arch=dict(VIT, pool_after=(0,)), pool='2d', out_type='featmap',
                         **OPTIONS)),
    'swin': (GreenSwinTransformer, dict(arch=TINY, window_size=2, use_abs_pos_embed=True,
                                        out_indices=(0,), **OPTIONS)),
    'swin_v2': (GreenSwinTransformerV2, dict(SWIN_V2, window_size=2, use_abs_pos_embed=True,
                                             out_indices=(0,), **OPTIONS)),
    'pvt': (GreenPVT, dict(PVT, pretrain_img_size=SIZE)),
}  # fmt: skip


def first_position(model):
    """The parameter, its grid in tokens, and the module that sees tokens with it added."""
    if isinstance(model, GreenPVT):
        first, block = model.layers[0][1][:2]
        return first.pos_embed, tuple(first.pos_shape), block
    if isinstance(model, (HPViT, HVT)):
        return model.pos_embed, model.patch_resolution, model.layers[0]
    block = model.stages[0].blocks[0]
    return model.absolute_pos_embed, model.patch_resolution, getattr(block, 'attn', block)


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('size', [SIZE, (128, 64), (128, 256)])
@pytest.mark.parametrize('case', CASES)
def test_a_ramp_stays_a_ramp(case, size, axis):
    """Positions that grow along one axis grow along it, linearly, at any size of the image.

    The images are constant, so that differences between tokens are those of positions.
    """
    cls, cfg = CASES[case]
    model = cls(**cfg).eval()
    parameter, grid, block = first_position(model)
    height, width = grid
    row = (torch.arange(height) + 0.5)[:, None].expand(grid) / height
    col = (torch.arange(width) + 0.5)[None].expand(grid) / width
    ramp = (row, col)[axis].reshape(1, -1, 1)
    with torch.no_grad():
        parameter.copy_(ramp.expand_as(parameter))
    seen = []
    block.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for module in model.modules():  # the norm before Swin's attention would hide the ramp
        if isinstance(model, (GreenSwinTransformer,)) and isinstance(module, torch.nn.LayerNorm):
            module.forward = lambda x: x
    with torch.no_grad():
        model(torch.zeros(1, 3, *size))
    patch = SIZE[0] // height
    new = (size[0] // patch, size[1] // patch)
    got = seen[0][0, :, 0].reshape(new)
    got = got - got[new[0] // 2, new[1] // 2]
    row = (torch.arange(new[0]) + 0.5)[:, None].expand(new) / new[0]
    col = (torch.arange(new[1]) + 0.5)[None].expand(new) / new[1]
    expected = (row, col)[axis] - (row, col)[axis][new[0] // 2, new[1] // 2]
    inner = (slice(1, -1), slice(1, -1))  # at the border interpolation repeats the outermost value
    torch.testing.assert_close(got[inner], expected[inner], atol=1e-5, rtol=0)

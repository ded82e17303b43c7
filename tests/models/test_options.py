"""Every option of every registered model changes something, or is refused.

``BASE`` holds a small model per class, ``OPTIONS`` another value for each option that its
constructors take. What may change: keys, values after initialisation, what is trained, outputs
and losses, what autograd keeps. An option without an entry fails the test.
"""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from greenmim_mm import models
from greenmim_mm.models import GreenEncoder, GreenMIM, GreenMIMHead, GreenMIMNeck
from greenmim_mm.registry import MODELS
from greenmim_mm.sparsity import RandomMasking
from tests.conftest import TINY
from tests.models.test_backbones import CONVNEXT, PVT, SVT, TWINS
from tests.models.test_greenmim import model_cfg
from tests.options import options_of


@dataclass
class With:
    """A value that needs other options next to it, with and without it."""

    value: Any
    base: dict


@dataclass
class Refused:
    """A value that the constructor, or the initialisation, does not take."""

    value: Any


@dataclass
class Elsewhere:
    """Why no value is tried here."""

    reason: str


LN = dict(type='LN', eps=1.0)
CONSTANT = dict(type='Constant', layer=['Linear', 'Conv2d'], val=0.1)
VIT = dict(embed_dims=16, num_layers=5, num_heads=2, feedforward_channels=16)
COMPILE = Elsewhere('tests/models/test_lean_blocks.py counts the programs')
NO_BATCH_NORM = Elsewhere('acts on batch norm alone, of which there is none, as the parent says')
ENCODER = dict(with_cp=True, compile_blocks=Refused(True), init_cfg=CONSTANT, in_channels=1,
               drop_path_rate=0.5)  # fmt: skip

BASE = {
    'GreenSwinTransformer': dict(arch=TINY, window_size=4, drop_path_rate=0.0),
    'GreenSwinTransformerV2': dict(
        arch=dict(TINY, extra_norm_every_n_blocks=0), window_size=4, drop_path_rate=0.0
    ),
    'GreenConvNeXt': dict(CONVNEXT, out_indices=[3]),
    'GreenSVT': dict(arch=SVT),
    'GreenPCPVT': dict(arch=TWINS),
    'GreenPVT': dict(PVT, pretrain_img_size=128),
    'GreenPVTv2': PVT,
    'HPViT': dict(arch=VIT, patch_stride=8, depths=(2, 3)),
    'HVT': dict(arch=dict(VIT, pool_after=(0,)), pool='2d'),
    'GreenMIMNeck': dict(in_channels=8, embed_dims=16, num_heads=2),
    'GreenMIMHead': dict(loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2')),
    'GreenMIM': {k: v for k, v in model_cfg(mask_seed=0).items() if k != 'type'},
    'SimpleFeaturePyramid': dict(in_channels=8, out_channels=8),
}
SWIN = dict(
    ENCODER,
    compile_blocks=COMPILE,
    img_size=With(64, dict(use_abs_pos_embed=True)),
    patch_size=2,
    window_size=2,
    drop_rate=0.5,
    out_indices=(2, 3),
    use_abs_pos_embed=True,
    interpolate_mode=With('bilinear', dict(use_abs_pos_embed=True, img_size=64)),
    frozen_stages=1,
    norm_eval=NO_BATCH_NORM,
    pad_small_map=True,
    norm_cfg=LN,
    stage_cfgs=dict(block_cfgs=dict(norm_cfg=LN)),
    patch_cfg=dict(norm_cfg=LN),
)
TWINS_OPTIONS = dict(
    ENCODER,
    out_indices=(2, 3),
    qkv_bias=True,
    drop_rate=0.5,
    attn_drop_rate=0.5,
    norm_cfg=LN,
    norm_after_stage=True,
)
PVT_OPTIONS = dict(
    ENCODER,
    pretrain_img_size=64,
    embed_dims=8,
    num_stages=Refused(3),  # of lists of four
    num_layers=[1, 1, 1, 1],
    num_heads=[1, 2, 4, 4],
    patch_sizes=With([6, 2, 2, 2], dict(paddings=[1, 0, 0, 0])),
    strides=With([2, 2, 2, 2], dict(paddings=[1, 0, 0, 0])),
    paddings=[1, 0, 0, 0],
    sr_ratios=[4, 4, 2, 1],
    out_indices=(2, 3),
    mlp_ratios=[1, 1, 1, 1],
    qkv_bias=False,
    drop_rate=0.5,
    attn_drop_rate=0.5,
    use_abs_pos_embed=False,
    norm_after_stage=True,
    use_conv_ffn=True,
    act_cfg=dict(type='ReLU'),
    norm_cfg=LN,
    pretrained=Refused('not_there.pth'),
    convert_weights=Refused(True),
)
STAGED_VIT = dict(
    depths=(1, 4),
    patch_size=32,
    patch_stride=16,
    out_indices=(0,),
    window_size=2,
    global_attn_indexes=With((0,), dict(window_size=2)),
    relative_position=With(True, dict(window_size=2)),
    with_cp=True,
    norm_cfg=LN,
    arch=dict(VIT, embed_dims=8),
    img_size=64,
    in_channels=1,
    drop_rate=0.5,
    drop_path_rate=0.5,
    qkv_bias=False,
    final_norm=False,
    out_type='raw',
    with_cls_token=True,
    frozen_stages=1,
    interpolate_mode=With('bilinear', dict(img_size=64)),
    layer_scale_init_value=0.5,
    patch_cfg=Refused(dict(stride=8)),  # patch_stride says it
    layer_cfgs=dict(act_cfg=dict(type='ReLU')),
    pre_norm=True,
    init_cfg=CONSTANT,
)
OPTIONS = {
    'GreenSwinTransformer': dict(
        SWIN,
        arch=dict(TINY, depths=[1, 1, 1, 1]),
        out_after_downsample=With(True, dict(out_indices=(0,))),
    ),
    'GreenSwinTransformerV2': dict(
        SWIN,
        arch=dict(TINY, extra_norm_every_n_blocks=1),
        pretrained_window_sizes=[8, 8, 8, 8],
    ),
    'GreenConvNeXt': dict(
        ENCODER,
        arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 16, 24]),
        stem_patch_size=2,
        norm_cfg=dict(type='LN2d', eps=1.0),
        act_cfg=dict(type='ReLU'),
        linear_pw_conv=False,
        use_grn=True,
        layer_scale_init_value=0.1,
        out_indices=[2, 3],
        frozen_stages=1,
        gap_before_final_norm=True,
    ),
    'GreenSVT': dict(TWINS_OPTIONS, arch=dict(SVT, window_sizes=[2, 2, 2, 2])),
    'GreenPCPVT': dict(TWINS_OPTIONS, arch=dict(TWINS, depths=[1, 1, 1, 1])),
    'GreenPVT': PVT_OPTIONS,
    'GreenPVTv2': dict(
        PVT_OPTIONS,
        strides=With([4, 2, 2, 1], dict(sr_ratios=[4, 2, 1, 1])),
        pretrain_img_size=Elsewhere('of absolute positions, which PVTv2 has none of'),
        **{
            name: Refused([8, 2, 2, 2])  # what makes it the second version
            for name in ('patch_sizes', 'paddings', 'use_abs_pos_embed', 'norm_after_stage',
                         'use_conv_ffn')
        },
    ),
    'HPViT': dict(STAGED_VIT, pool='avg'),
    'HVT': dict(
        STAGED_VIT,
        arch=dict(VIT, embed_dims=8, pool_after=(0,)),
        pool='1d',
        out_type='raw',
        depths=Refused((1, 4)),  # pool_after says it
        with_cls_token=Refused(True),
        patch_stride=8,
    ),
    'GreenMIMNeck': dict(
        in_channels=4, embed_dims=32, depth=2, num_heads=4, mlp_ratio=2.0, patch_size=16,
        out_channels=1, norm_cfg=LN, init_cfg=CONSTANT,
    ),
    'GreenMIMHead': dict(
        loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L1'),
        norm_pix=True, patch_size=32, in_channels=1,
    ),
    'GreenMIM': dict(
        backbone=dict(BASE['GreenMIM']['backbone'], window_size=2),
        neck=dict(BASE['GreenMIM']['neck'], depth=2),
        head=dict(BASE['GreenMIM']['head'], norm_pix=False),
        mask_ratio=0.5,
        per_image=True,
        mask_seed=1,
        data_preprocessor=dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
        target_generator=Refused(dict(type='mmpretrain.HOGGenerator')),
        pretrained=Refused('somewhere.pth'),
        init_cfg=dict(CONSTANT),
    ),
    'SimpleFeaturePyramid': dict(
        in_channels=4, out_channels=16, scales=(4, 2, 1), num_outs=6,
        init_cfg=dict(type='Constant', layer='Conv2d', val=0.1),
    ),
}  # fmt: skip
PAIRS = [(name, option) for name, options in OPTIONS.items() for option in options]


def forward(model, options):
    """What a model makes of fixed inputs."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    if isinstance(model, GreenMIMNeck):
        visible = RandomMasking(0.5, 1)((4, 4), 2, seed=0)
        return [model(draw(2, 8, options['in_channels']), visible)]
    if isinstance(model, GreenMIMHead):
        images = draw(2, options.get('in_channels', 3), 64, 64)
        target = model.patchify(images)
        return [model.loss(draw(*target.shape), images, torch.ones(2, target.shape[1]))]
    if isinstance(model, GreenMIM):
        inputs = model.data_preprocessor(dict(inputs=draw(2, 3, 128, 128), data_samples=None))
        return [model.loss(inputs['inputs'])['loss']]
    if isinstance(model, models.SimpleFeaturePyramid):
        return model((draw(1, options['in_channels'], 8, 8),))
    images = draw(2, options.get('in_channels', 3), 128, 128)
    outs = list(model(images))
    if isinstance(model, GreenEncoder):
        visible = RandomMasking(0.5, model.mask_unit)((128, 128), 2, seed=0)
        outs += model(images, visible)
    return outs


def fingerprint(name, options):
    """Everything that an option may change, as one comparable list."""
    torch.manual_seed(0)
    model = MODELS.get(name)(**options)
    model.init_weights()
    seen, kept = [], 0

    def note(tensor):
        seen.append((tuple(tensor.shape), tensor.detach().double().sum().item()))

    def pack(tensor):
        nonlocal kept
        kept += tensor.numel()
        return tensor

    for key, tensor in model.state_dict().items():
        seen.append(key)
        note(tensor)
    seen += [parameter.requires_grad for parameter in model.parameters()]
    for training in (True, False):
        model.train(training)
        torch.manual_seed(1)
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            for out in forward(model, options):
                note(out)
    return [*seen, kept]


@pytest.mark.parametrize('name', sorted(MODELS.module_dict))
def test_every_option_has_an_entry(name):
    assert set(OPTIONS[name]) == options_of(MODELS.get(name))


@pytest.mark.parametrize('name,option', PAIRS, ids=[f'{n}-{o}' for n, o in PAIRS])
def test_every_option_changes_something_or_is_refused(name, option):
    entry, base = OPTIONS[name][option], dict(BASE[name])
    if isinstance(entry, Elsewhere):
        return
    if isinstance(entry, Refused):
        with pytest.raises((ValueError, TypeError, AssertionError, FileNotFoundError)):
            MODELS.get(name)(**{**base, option: entry.value}).init_weights()
        return
    if isinstance(entry, With):
        base, entry = {**base, **entry.base}, entry.value
    same = fingerprint(name, base)
    assert same == fingerprint(name, base)  # or chance would pass for a change
    assert same != fingerprint(name, {**base, option: entry})

"""Synthetic checkpoints of the released layouts, through independent forwards."""

import argparse

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from greenmim_mm.converters import Conversion, convert_hvt, convert_vit
from greenmim_mm.models import HVT, HPViT

WIDTH, HEADS, DEPTH, SIDE = 16, 2, 6, 4
ARCH = dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=HEADS, feedforward_channels=4 * WIDTH)


def random_weights(**shapes):
    return {
        key.replace('__', '.'): torch.randn(*shape) * 0.3
        + float('norm' in key and key.endswith('weight'))
        for key, shape in shapes.items()
    }


def timm_vit(depth=DEPTH, width=WIDTH, qkv_bias=True, extra=1, position=True):
    """Weights in timm's layout, which MAE and DeiT share."""
    shapes = dict(patch_embed__proj__weight=(width, 3, 16, 16), patch_embed__proj__bias=(width,))
    if extra:
        shapes['cls_token'] = (1, 1, width)
    if position:
        shapes['pos_embed'] = (1, SIDE * SIDE + extra, width)
    for i in range(depth):
        b = f'blocks__{i}__'
        for norm in ('norm1', 'norm2'):
            shapes |= {f'{b}{norm}__weight': (width,), f'{b}{norm}__bias': (width,)}
        shapes |= {
            f'{b}attn__qkv__weight': (3 * width, width),
            f'{b}attn__proj__weight': (width, width), f'{b}attn__proj__bias': (width,),
            f'{b}mlp__fc1__weight': (4 * width, width), f'{b}mlp__fc1__bias': (4 * width,),
            f'{b}mlp__fc2__weight': (width, 4 * width), f'{b}mlp__fc2__bias': (width,),
        }  # fmt: skip
        if qkv_bias:
            shapes[f'{b}attn__qkv__bias'] = (3 * width,)
    shapes |= dict(norm__weight=(width,), norm__bias=(width,))
    return random_weights(**shapes)


def block_forward(w, i, x, heads, bias=0.0):
    """A block in timm's names: pre-norm attention and MLP, optional layer scale."""

    def get(name, default=None):
        return w.get(f'blocks.{i}.{name}', default)

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], get(f'{name}.weight'), get(f'{name}.bias'), 1e-6)

    qkv_bias = get('attn.qkv.bias')
    if qkv_bias is None:
        q_bias = get('attn.q_bias')
        qkv_bias = torch.cat([q_bias, torch.zeros_like(q_bias), get('attn.v_bias')])
    qkv = norm(x, 'norm1') @ get('attn.qkv.weight').t() + qkv_bias
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in qkv.chunk(3, -1))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias).softmax(-1)
    y = (weights @ v).transpose(1, 2).flatten(2)
    y = y @ get('attn.proj.weight').t() + get('attn.proj.bias')
    x = x + get('gamma_1', 1.0) * y
    y = F.gelu(norm(x, 'norm2') @ get('mlp.fc1.weight').t() + get('mlp.fc1.bias'))
    y = y @ get('mlp.fc2.weight').t() + get('mlp.fc2.bias')
    return x + get('gamma_2', 1.0) * y


def embed_forward(w, images):
    x = F.conv2d(images, w['patch_embed.proj.weight'], w['patch_embed.proj.bias'], 16)
    x = x.flatten(2).transpose(1, 2)
    if 'cls_token' in w:
        x = torch.cat([w['cls_token'].expand(len(x), -1, -1), x], 1)
    return x + w.get('pos_embed', 0.0)


def vit_forward(w, images, bias=0.0):
    x = embed_forward(w, images)
    for i in range(DEPTH):
        x = block_forward(w, i, x, HEADS, bias)
    return F.layer_norm(x, x.shape[-1:], w['norm.weight'], w['norm.bias'], 1e-6)


def plain(**kwargs):
    """The plain ViT, as an HPViT of one stage."""
    model = HPViT(ARCH, img_size=64, patch_stride=16, depths=(6,), with_cls_token=True,
                  out_type='raw', **kwargs)  # fmt: skip
    model.init_weights()
    return model


def save(tmp_path, weights, key='model', **more):
    path = tmp_path / 'source.pth'
    torch.save({key: weights, **more}, path)
    return str(path)


MAE_DECODER = dict(mask_token=torch.zeros(1, 1, 8), decoder_pos_embed=torch.zeros(1, 17, 8),
                   **{'decoder_embed.weight': torch.zeros(8, WIDTH),
                      'decoder_blocks.0.attn.qkv.weight': torch.zeros(24, 8),
                      'decoder_pred.bias': torch.zeros(768)})  # fmt: skip


@pytest.mark.parametrize('layout', ['mae', 'timm', 'ddp', 'mmpretrain'])
def test_plain_vit_gives_the_same_features(tmp_path, layout):
    weights = timm_vit()
    images = torch.randn(2, 3, 64, 64)
    expected = vit_forward(weights, images)
    model = plain()
    if layout == 'mae':
        path = save(tmp_path, {**weights, **MAE_DECODER}, args=argparse.Namespace(lr=1))
    elif layout == 'timm':
        path = str(tmp_path / 'source.pth')
        torch.save({**weights, 'head.weight': torch.zeros(5, WIDTH)}, path)
    elif layout == 'ddp':
        path = save(tmp_path, {f'module.{k}': v for k, v in weights.items()})
    else:
        own = convert_vit(save(tmp_path, weights), model).weights
        path = save(tmp_path, {**{f'backbone.{k}': v for k, v in own.items()},
                               'neck.mask_token': torch.zeros(1)}, 'state_dict')  # fmt: skip
    conversion = convert_vit(path, model)
    conversion.save(tmp_path / 'target.pth', 'backbone.')
    loaded = plain(init_cfg=dict(type='Pretrained', prefix='backbone.',
                                 checkpoint=str(tmp_path / 'target.pth')))  # fmt: skip
    torch.testing.assert_close(loaded(images)[0], expected)


def test_hpvit_takes_blocks_as_they_are_and_resizes_positions(tmp_path):
    weights = timm_vit()
    path = save(tmp_path, {**weights, **MAE_DECODER})
    model = HPViT(ARCH, img_size=64, depths=(1, 1, 2, 2), out_indices=(0, 1, 2, 3))
    model.init_weights()
    conversion = convert_vit(path, model)
    ours = conversion.weights
    assert torch.equal(ours['layers.3.attn.qkv.weight'], weights['blocks.3.attn.qkv.weight'])
    assert torch.equal(ours['layers.5.ffn.layers.0.0.bias'], weights['blocks.5.mlp.fc1.bias'])
    assert torch.equal(ours['patch_embed.projection.weight'], weights['patch_embed.proj.weight'])
    position = weights['pos_embed'][:, 1:].transpose(1, 2).unflatten(2, (SIDE, SIDE))
    position = F.interpolate(position, (16, 16), mode='bicubic').flatten(2).transpose(1, 2)
    torch.testing.assert_close(ours['pos_embed'], position)
    assert set(ours) == set(model.state_dict())
    report, pair = conversion.report(), f'({3 * WIDTH}, {WIDTH})'
    for line in (
        f'| copied | 6 | blocks.*.attn.qkv.weight | layers.*.attn.qkv.weight | {pair} |',
        f'| resized | 1 | pos_embed | pos_embed | (1, 17, {WIDTH}) -> (1, 256, {WIDTH}) |',
        f'| initialised | 3 | - | pools.*.weight | ({WIDTH}, 1, 2, 2) |',
        '| skipped (pre-training decoder) | 1 | decoder_pred.bias | - | (768,) |',
        f'| skipped (no use in this HPViT) | 1 | cls_token | - | (1, 1, {WIDTH}) |',
    ):  # fmt: skip
        assert line in report, report


def test_distilled_deit_loses_its_second_token(tmp_path):
    weights = timm_vit()
    position = torch.cat([weights['pos_embed'][:, :1], torch.randn(1, 1, WIDTH),
                          weights['pos_embed'][:, 1:]], 1)  # fmt: skip
    path = save(tmp_path, {**weights, 'pos_embed': position, 'dist_token': torch.zeros(1, 1, WIDTH),
                           'head_dist.bias': torch.zeros(5)})  # fmt: skip
    assert torch.equal(convert_vit(path, plain()).weights['pos_embed'], weights['pos_embed'])


@pytest.mark.parametrize('shared', [True, False])
def test_simmim_vit(tmp_path, shared):
    """Relative position bias, layer scale, no bias of keys, no absolute position."""
    weights = timm_vit(qkv_bias=False, position=False)
    for i in range(DEPTH):
        weights |= {f'blocks.{i}.{k}': torch.randn(WIDTH) for k in
                    ('attn.q_bias', 'attn.v_bias', 'gamma_1', 'gamma_2')}  # fmt: skip
    table = torch.randn((2 * SIDE - 1) ** 2 + 3, HEADS)
    table[-3:] = 0  # those of the class token, which have no place here
    names = ['rel_pos_bias.'] if shared else [f'blocks.{i}.attn.' for i in range(DEPTH)]
    weights |= {f'{name}relative_position_bias_table': table for name in names}
    weights |= {f'{name}relative_position_index': torch.zeros(17, 17) for name in names}

    bias = torch.zeros(HEADS, 17, 17)
    for i in range(16):
        for j in range(16):
            row = (
                (i // SIDE - j // SIDE + SIDE - 1) * (2 * SIDE - 1) + i % SIDE - j % SIDE + SIDE - 1
            )
            bias[:, i + 1, j + 1] = table[row]
    images = torch.randn(2, 3, 64, 64)
    expected = vit_forward(weights, images, bias)

    file = {f'encoder.{k}': v for k, v in weights.items()}
    file |= {'encoder.mask_token': torch.zeros(1), 'decoder.0.weight': torch.zeros(8, WIDTH)}
    path = save(tmp_path, file)
    model = plain(window_size=SIDE, relative_position=True, layer_scale_init_value=0.1)
    model.load_state_dict(convert_vit(path, model).weights)
    torch.testing.assert_close(model(images)[0], expected)

    with pytest.raises(ValueError, match=r'relative position bias: set .*relative_position=True'):
        convert_vit(path, plain())


def test_a_tensor_without_a_place_is_an_error(tmp_path):
    path = save(tmp_path, {**timm_vit(), 'blocks.0.attn.q_norm.weight': torch.zeros(8)})
    with pytest.raises(ValueError, match=r'1 tensors have no place here: blocks\.0\.attn\.q_norm'):
        convert_vit(path, plain())
    weights = timm_vit()
    del weights['blocks.4.mlp.fc2.bias']
    with pytest.raises(
        ValueError, match=r'missing in the checkpoint: layers\.4\.ffn\.layers\.1\.b'
    ):
        convert_vit(save(tmp_path, weights), plain())
    with pytest.raises(ValueError, match=r'holds no weights.*its keys are epoch'):
        Conversion(save(tmp_path, 3, 'epoch'))


# -- HVT ----------------------------------------------------------------------


def released_hvt(pools, monkeypatch):
    arch = dict(ARCH, pool_after=pools)
    monkeypatch.setattr(HVT, 'arch_zoo', {'s_1': dict(ARCH, pool_after=(0,)), 'toy': arch})
    weights = timm_vit(extra=0)
    length = SIDE * SIDE
    for block in pools:
        length = (length - 3) // 2 + 1
        weights[f'blocks.{block}.pos_embed'] = torch.randn(1, length, WIDTH)
    return weights | random_weights(head__weight=(5, WIDTH), head__bias=(5,))


def test_released_hvt_gives_the_same_logits(tmp_path, monkeypatch):
    weights = released_hvt((0, 3), monkeypatch)
    images = torch.randn(2, 3, 64, 64)
    x = embed_forward(weights, images)
    for i in range(DEPTH):
        x = block_forward(weights, i, x, HEADS)
        if i in (0, 3):
            x = nn.MaxPool1d(3, 2)(x.transpose(2, 1)).transpose(1, 2)
            x = x + weights[f'blocks.{i}.pos_embed']
    x = F.layer_norm(x, x.shape[-1:], weights['norm.weight'], weights['norm.bias'], 1e-6)
    logits = x.mean(1) @ weights['head.weight'].t() + weights['head.bias']

    path = save(tmp_path, weights, args=argparse.Namespace(), epoch=299)
    conversion, arch = convert_hvt(path)
    assert arch == 'toy'
    assert set(conversion.weights) >= {'head.fc.weight', 'backbone.pos_embeds.1'}
    assert '| copied | 1 | head.weight | head.fc.weight | (5, 16) |' in conversion.report()
    from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS

    model = MMPRETRAIN_MODELS.build(dict(
        type='ImageClassifier', backbone=dict(type='greenmim_mm.HVT', arch='toy', img_size=64),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=WIDTH)))  # fmt: skip
    model.load_state_dict(conversion.weights)
    torch.testing.assert_close(model.head(model.backbone(images)), logits)


def test_released_hvt_for_2d_pools(tmp_path, monkeypatch):
    weights = released_hvt((0, 3), monkeypatch)
    del weights['head.weight'], weights['head.bias']  # a backbone alone will do
    conversion, _ = convert_hvt(save(tmp_path, weights), pool='2d')
    assert conversion.weights['backbone.pos_embeds.1'].shape == (1, 1, WIDTH)
    assert "skipped (of a sequence, pool='2d' has a grid) | 1 | blocks.*.pos_embed" in (
        conversion.report()
    )


def test_another_network_is_no_hvt(tmp_path, monkeypatch):
    weights = released_hvt((0, 3), monkeypatch)
    del weights['blocks.3.pos_embed'], weights['blocks.0.pos_embed']
    with pytest.raises(ValueError, match=r'no released HVT: width 16, pools after blocks \[\]'):
        convert_hvt(save(tmp_path, weights))

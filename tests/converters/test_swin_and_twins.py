"""Synthetic checkpoints of the released GreenMIM, through forwards written out here."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from greenmim_mm.converters import convert_swin, convert_twins, mmpretrain_swin_to_timm
from greenmim_mm.converters.swin import merge_to_channel_major, merge_to_place_major
from greenmim_mm.layers import gather_from_grid
from greenmim_mm.models import GreenSVT, GreenSwinTransformer
from greenmim_mm.sparsity import token_layout
from tests.converters.test_converters import MAE_DECODER, save

WIDTH, DEPTHS, HEADS = 8, [2, 2, 2, 2], [1, 2, 2, 4]


def random_state(shapes):
    return {
        key: torch.randn(shape) * 0.3 + float('norm' in key and key.endswith('weight'))
        for key, shape in shapes.items()
    }


def block_shapes(prefix, width):
    shapes = {f'{prefix}{norm}.{kind}': (width,) for norm in ('norm1', 'norm2')
              for kind in ('weight', 'bias')}  # fmt: skip
    for name, outs, ins in (('attn.proj', width, width), ('mlp.fc1', 4 * width, width),
                            ('mlp.fc2', width, 4 * width)):  # fmt: skip
        shapes |= {f'{prefix}{name}.weight': (outs, ins), f'{prefix}{name}.bias': (outs,)}
    return shapes


def linear(w, key, x):
    return F.linear(x, w[f'{key}.weight'], w.get(f'{key}.bias'))


def norm(w, key, x):
    return F.layer_norm(x, x.shape[-1:], w[f'{key}.weight'], w[f'{key}.bias'], 1e-6)


def mlp(w, block, x):
    hidden = F.gelu(linear(w, f'{block}mlp.fc1', norm(w, f'{block}norm2', x)))
    return x + linear(w, f'{block}mlp.fc2', hidden)


def attend(q, k, v, heads, bias=0.0):
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


# -- Swin ---------------------------------------------------------------------


def swin_weights(windows):
    """The released layout: ``windows`` per stage, smaller where the map is."""
    shapes = {'patch_embed.proj.weight': (WIDTH, 3, 4, 4)}
    shapes |= {f'patch_embed.{k}': (WIDTH,) for k in ('proj.bias', 'norm.weight', 'norm.bias')}
    for i, (depth, heads, window) in enumerate(zip(DEPTHS, HEADS, windows)):
        width = WIDTH * 2**i
        for j in range(depth):
            block = f'layers.{i}.blocks.{j}.'
            shapes |= block_shapes(block, width)
            shapes |= {f'{block}attn.qkv.weight': (3 * width, width),
                       f'{block}attn.qkv.bias': (3 * width,),
                       f'{block}attn.relative_position_bias_table': ((2 * window - 1) ** 2, heads),
                       f'{block}attn.relative_position_index': (window**2, window**2)}  # fmt: skip
        if i < 3:
            merge = f'layers.{i}.downsample.'
            shapes |= {f'{merge}reduction.weight': (2 * width, 4 * width),
                       f'{merge}norm.weight': (4 * width,),
                       f'{merge}norm.bias': (4 * width,)}  # fmt: skip
    return random_state(shapes | {'norm.weight': (width,), 'norm.bias': (width,)})


def swin_forward(w, images, windows, order):
    """Dense Swin: every pair of tokens, those of different windows masked; any merge order."""
    x = F.conv2d(images, w['patch_embed.proj.weight'], w['patch_embed.proj.bias'], 4)
    side = x.shape[-1]
    x = norm(w, 'patch_embed.norm', x.flatten(2).transpose(1, 2))
    for i, (depth, heads, window) in enumerate(zip(DEPTHS, HEADS, windows)):
        row, column = (
            n.flatten() for n in torch.meshgrid(*[torch.arange(side)] * 2, indexing='ij')
        )
        offset = (row[:, None] - row + window - 1) * (2 * window - 1) + column[:, None] - column
        for j in range(depth):
            block = f'layers.{i}.blocks.{j}.'
            shift = window // 2 if j % 2 and side > window else 0
            of = (row + window - shift) // window * 99 + (column + window - shift) // window
            same = of[:, None] == of
            table = w[f'{block}attn.relative_position_bias_table']
            bias = table[(offset + window - 1).where(same, 0)].permute(2, 0, 1)
            bias = bias.masked_fill(~same, float('-inf'))
            qkv = linear(w, f'{block}attn.qkv', norm(w, f'{block}norm1', x)).chunk(3, -1)
            x = x + linear(w, f'{block}attn.proj', attend(*qkv, heads, bias))
            x = mlp(w, block, x)
        if i < 3:
            image = x.unflatten(1, (side, side))
            places = [(0, 0), (0, 1), (1, 0), (1, 1)]
            if order == 'column':
                places = [(r, c) for c, r in places]
            x = torch.cat([image[:, r::2, c::2] for r, c in places], -1).flatten(1, 2)
            merge = f'layers.{i}.downsample.'
            x = linear(w, f'{merge}reduction', norm(w, f'{merge}norm', x))
            side //= 2
    return norm(w, 'norm', x).transpose(1, 2).unflatten(2, (side, side))


def our_swin(window):
    arch = dict(embed_dims=WIDTH, depths=DEPTHS, num_heads=HEADS)
    ln = dict(type='LN', eps=1e-6)
    stage = dict(block_cfgs=dict(norm_cfg=ln), downsample_cfg=dict(norm_cfg=ln))
    return GreenSwinTransformer(arch, window_size=window, img_size=128,
                                drop_path_rate=0.0, norm_cfg=ln, patch_cfg=dict(norm_cfg=ln),
                                stage_cfgs=stage)  # fmt: skip


@pytest.mark.parametrize('window', [4, 8])
@pytest.mark.parametrize('order', ['row', 'column'])
def test_released_swin_gives_the_same_features(tmp_path, order, window):
    windows = [min(window, side) for side in (32, 16, 8, 4)]
    weights = swin_weights(windows)
    images = torch.randn(2, 3, 128, 128)
    expected = swin_forward(weights, images, windows, order)
    file = {f'encoder.{key}': value for key, value in weights.items()} | MAE_DECODER
    conversion = convert_swin(save(tmp_path, file), order, img_size=128)
    model = our_swin(window)
    model.load_state_dict(conversion.weights)
    # all visible: no padding of small maps, which the dense forward of MMPretrain has
    visible = torch.ones(1, 4, 4, dtype=torch.bool)
    expected = gather_from_grid(expected, token_layout(visible, 1))
    torch.testing.assert_close(model(images, visible)[0], expected, atol=1e-4, rtol=1e-4)

    other = convert_swin(save(tmp_path, weights), {'row': 'column'}.get(order, 'row'), 128)
    model.load_state_dict(other.weights)
    assert not torch.allclose(model(images, visible)[0], expected, atol=1e-2)
    report = conversion.report()
    key = 'downsample.norm.bias'  # of three widths
    assert report.count(f'| permuted | 1 | layers.*.{key} | stages.*.{key} |') == 3
    assert ('put in the middle' in report) == (window == 8)


@pytest.mark.parametrize('order', ['row', 'column'])
def test_merge_orders_by_labels(order):
    """Channel c at place (r, k) is labelled (c, r, k); ours has its places together."""
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    theirs = [(r, k) if order == 'row' else (k, r) for r, k in places]
    source = torch.tensor([100 * c + 10 * r + k for r, k in theirs for c in range(3)])
    ours = merge_to_channel_major(source, order)
    assert ours.tolist() == [100 * c + 10 * r + k for c in range(3) for r, k in places]
    assert torch.equal(merge_to_place_major(ours, order), source)


def test_not_a_swin(tmp_path):
    with pytest.raises(ValueError, match=r'is no Swin: .* the keys are blocks\.0\.x'):
        convert_swin(save(tmp_path, {'blocks.0.x': torch.zeros(1)}), 'row')
    with pytest.raises(ValueError, match=r"merge_order must be one of .*, got 'rows'"):
        convert_swin(save(tmp_path, swin_weights([4] * 4)), 'rows')
    weights = swin_weights([4] * 4) | {'layers.0.blocks.0.attn.logit_scale': torch.zeros(1)}
    with pytest.raises(ValueError, match=r'1 tensors have no place here: .*logit_scale'):
        convert_swin(save(tmp_path, weights), 'row')


def test_timm_has_the_same_features():
    timm = pytest.importorskip('timm')
    theirs = timm.models.swin_transformer.SwinTransformer(
        img_size=128, window_size=4, embed_dim=WIDTH, depths=DEPTHS, num_heads=HEADS, num_classes=0,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    ).eval()  # fmt: skip
    model = our_swin(4).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    loaded = theirs.load_state_dict(mmpretrain_swin_to_timm(model.state_dict()), strict=False)
    assert not loaded.unexpected_keys
    assert all('relative_position_index' in k or 'attn_mask' in k for k in loaded.missing_keys)
    images = torch.randn(2, 3, 128, 128)
    expected = theirs.forward_features(images).permute(0, 3, 1, 2)
    torch.testing.assert_close(model(images)[0], expected, atol=1e-4, rtol=1e-4)


def test_what_timm_does_not_have():
    state_dict = our_swin(4).state_dict()
    with pytest.raises(ValueError, match='no Swin of timm has absolute_pos_embed'):
        mmpretrain_swin_to_timm(state_dict | {'absolute_pos_embed': torch.zeros(1)})


# -- Twins --------------------------------------------------------------------

SR, TWINS_DIMS, TWINS_HEADS = [8, 4, 2, 1], [16, 16, 16, 32], [1, 2, 2, 4]
TWINS_ARCH = dict(embed_dims=TWINS_DIMS, depths=DEPTHS, num_heads=TWINS_HEADS, sr_ratios=SR,
                  patch_sizes=[4, 2, 2, 2], strides=[4, 2, 2, 2], mlp_ratios=[4] * 4,
                  window_sizes=[4] * 4)  # fmt: skip


def twins_weights():
    shapes = {}
    for i, width in enumerate(TWINS_DIMS):
        before, patch = (3, 4) if i == 0 else (TWINS_DIMS[i - 1], 2)
        shapes |= {f'patch_embeds.{i}.proj.weight': (width, before, patch, patch)}
        shapes |= {
            f'patch_embeds.{i}.{k}': (width,) for k in ('proj.bias', 'norm.weight', 'norm.bias')
        }
        shapes |= {f'pos_block.{i}.proj.0.weight': (width, 1, 3, 3),
                   f'pos_block.{i}.proj.0.bias': (width,)}  # fmt: skip
        for j in range(2):
            block = f'blocks.{i}.{j}.'
            shapes |= block_shapes(block, width)
            parts = {'qkv': 3} if j == 0 else {'q': 1, 'kv': 2}
            for name, times in parts.items():
                shapes |= {f'{block}attn.{name}.weight': (times * width, width),
                           f'{block}attn.{name}.bias': (times * width,)}  # fmt: skip
            if j == 1 and SR[i] > 1:
                shapes |= {f'{block}attn.sr.weight': (width, width, SR[i], SR[i])}
                shapes |= {
                    f'{block}attn.{k}': (width,) for k in ('sr.bias', 'norm.weight', 'norm.bias')
                }
    return random_state(shapes | {'norm.weight': (width,), 'norm.bias': (width,)})


def twins_forward(w, images):
    x = images
    for i, heads in enumerate(TWINS_HEADS):
        embed = f'patch_embeds.{i}.'
        x = F.conv2d(x, w[f'{embed}proj.weight'], w[f'{embed}proj.bias'], 4 if i == 0 else 2)
        side = x.shape[-1]
        x = norm(w, f'{embed}norm', x.flatten(2).transpose(1, 2))
        row, column = (
            n.flatten() for n in torch.meshgrid(*[torch.arange(side)] * 2, indexing='ij')
        )
        of = row // 4 * 99 + column // 4
        apart = torch.zeros(len(of), len(of)).masked_fill(of[:, None] != of, float('-inf'))
        for j in range(2):
            block = f'blocks.{i}.{j}.'
            y = norm(w, f'{block}norm1', x)
            if j == 0:
                y = attend(*linear(w, f'{block}attn.qkv', y).chunk(3, -1), heads, apart)
            else:
                keys = y
                if SR[i] > 1:
                    image = y.transpose(1, 2).unflatten(2, (side, side))
                    keys = F.conv2d(
                        image, w[f'{block}attn.sr.weight'], w[f'{block}attn.sr.bias'], SR[i]
                    )
                    keys = norm(w, f'{block}attn.norm', keys.flatten(2).transpose(1, 2))
                y = attend(linear(w, f'{block}attn.q', y),
                           *linear(w, f'{block}attn.kv', keys).chunk(2, -1), heads)  # fmt: skip
            x = mlp(w, block, x + linear(w, f'{block}attn.proj', y))
            if j == 0:
                image = x.transpose(1, 2).unflatten(2, (side, side))
                position = f'pos_block.{i}.proj.0.'
                image = image + F.conv2d(image, w[f'{position}weight'], w[f'{position}bias'],
                                         padding=1, groups=len(w[f'{position}bias']))  # fmt: skip
                x = image.flatten(2).transpose(1, 2)
        x = x.transpose(1, 2).unflatten(2, (side, side))
    return norm(w, 'norm', x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    'layout', [None, (0, 2, 3, 1), (2, 3, 1, 0)], ids=['torch', 'KRSC', 'RSCK']
)
def test_released_twins_gives_the_same_features(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(GreenSVT, 'arch_zoo', {'toy': TWINS_ARCH})
    weights = twins_weights()
    images = torch.randn(2, 3, 128, 128)
    expected = twins_forward(weights, images)
    file = {f'encoder.{key}': value for key, value in weights.items()} | MAE_DECODER
    if layout is not None:  # spconv's kernels
        for key in file:
            if '.sr.weight' in key or ('patch_embeds' in key and file[key].shape[-1] == 2):
                file[key] = file[key].permute(layout)
    conversion = convert_twins(save(tmp_path, file))
    model = GreenSVT(TWINS_ARCH, qkv_bias=True, norm_after_stage=[False, False, False, True],
                     norm_cfg=dict(type='LN', eps=1e-6))  # fmt: skip
    model.load_state_dict(conversion.weights)
    torch.testing.assert_close(model(images)[-1], expected, atol=1e-4, rtol=1e-4)
    assert ('permuted (spconv)' in conversion.report()) == (layout is not None)


def test_not_a_twins(tmp_path):
    with pytest.raises(ValueError, match='is no Twins-SVT'):
        convert_twins(save(tmp_path, swin_weights([4] * 4)))
    with pytest.raises(ValueError, match=r'no Twins-SVT is known with widths \[16, 16, 16, 32\]'):
        convert_twins(save(tmp_path, twins_weights()))


@pytest.mark.parametrize('depths', [[2, 2], [2, 2, 4], [2, 2, 2, 2]], ids=len)
def test_a_swin_in_the_layout_of_timm_comes_back(tmp_path, depths):
    """There and back: every tensor is where it was, whatever the number of stages."""
    arch = dict(embed_dims=16, depths=depths, num_heads=[1, 2, 2, 4][: len(depths)])
    model = GreenSwinTransformer(arch, window_size=4, out_indices=(len(depths) - 1,))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    weights = mmpretrain_swin_to_timm(model.state_dict())
    assert 'layers.1.downsample.reduction.weight' in weights  # timm's place of the first merge
    conversion = convert_swin(save(tmp_path, weights), 'column')
    assert set(conversion.weights) == set(model.state_dict())
    for key, value in model.state_dict().items():
        assert torch.equal(conversion.weights[key], value), key

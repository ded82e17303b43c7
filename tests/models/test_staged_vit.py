"""HPViT and HVT against mmpretrain's plain ViT and against naive forwards."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from greenmim_mm.models import HVT, HPViT
from tests.models.test_pretrained import pretrained_cfg

ARCH = dict(embed_dims=16, num_layers=6, num_heads=2, feedforward_channels=32)
POOLED = dict(ARCH, pool_after=(0, 3))
ALL = (0, 1, 2, 3)


def randomize(model):
    """Weights of the size that a trained model has, so that every one of them matters."""
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if 'ln' in name and 'weight' in name else 0.0, 0.3)
    return model


def hpvit(**kwargs):
    kwargs = {'img_size': 64, 'depths': (1, 1, 2, 2), 'out_indices': ALL, **kwargs}
    return randomize(HPViT(ARCH, **kwargs))


def naive_block(layer, x, window_of, bias=None):
    """A transformer block; tokens of different windows do not see each other.

    ``window_of`` is a list with one entry per token, None for one that sees and is seen by all.
    """
    y, heads = F.layer_norm(x, x.shape[-1:], layer.ln1.weight, layer.ln1.bias, 1e-6), 2
    qkv = y @ layer.attn.qkv.weight.t() + layer.attn.qkv.bias
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in qkv.chunk(3, -1))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    allowed = torch.tensor(
        [[a == b or a is None or b is None for b in window_of] for a in window_of]
    )
    weights = scores.masked_fill(~allowed, float('-inf')).softmax(-1)
    y = (weights @ v).transpose(1, 2).flatten(2)
    x = x + y @ layer.attn.proj.weight.t() + layer.attn.proj.bias
    y = F.layer_norm(x, x.shape[-1:], layer.ln2.weight, layer.ln2.bias, 1e-6)
    first, last = layer.ffn.layers[0][0], layer.ffn.layers[1]
    return x + F.gelu(y @ first.weight.t() + first.bias) @ last.weight.t() + last.bias


def naive_embed(model, images):
    """Patches by slicing the padded image, one linear layer, resized positions."""
    kernel, stride = model.patch_embed.projection.kernel_size[0], model.patch_stride
    border = (kernel - stride) // 2
    padded = F.pad(images, [border] * 4)
    rows, columns = (side // stride for side in images.shape[-2:])
    patches = torch.stack([
        padded[:, :, r * stride : r * stride + kernel, c * stride : c * stride + kernel].flatten(1)
        for r in range(rows) for c in range(columns)
    ], dim=1)  # fmt: skip
    projection = model.patch_embed.projection
    x = patches @ projection.weight.flatten(1).t() + projection.bias
    extra = int(model.with_cls_token)
    position = model.pos_embed[:, extra:].transpose(1, 2).unflatten(2, model.patch_resolution)
    if tuple(model.patch_resolution) != (rows, columns):
        resized = F.interpolate(position.float(), (rows, columns), mode='bicubic')
        position = resized.to(x.dtype)  # mmpretrain resizes in fp32
    x = x + position.flatten(2).transpose(1, 2)
    if extra:
        first = (model.cls_token + model.pos_embed[:, :1]).expand(len(x), -1, -1)
        x = torch.cat([first, x], 1)
    return x, (rows, columns)


def naive_hpvit(model, images):
    x, (rows, columns) = naive_embed(model, images)
    extra, outs, block = int(model.with_cls_token), [], 0
    for stage, depth in enumerate(model.depths):
        for i in range(block, block + depth):
            side = model.window_sizes[i] or 1000
            windows = [(r // side, c // side) for r in range(rows) for c in range(columns)]
            x = naive_block(model.layers[i], x, [None] * extra + windows)
        block += depth
        last = block == len(model.layers)
        norm = model.ln1 if last else model.out_norms[str(stage)]
        y = F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, 1e-6)[:, extra:]
        outs.append(y.transpose(1, 2).unflatten(2, (rows, columns)))
        if not last:
            image = x[:, extra:].unflatten(1, (rows, columns))
            weight, bias = model.pools[stage].weight[:, 0], model.pools[stage].bias  # C x 2 x 2
            image = bias + sum(
                image[:, i::2, j::2] * weight[:, i, j] for i in (0, 1) for j in (0, 1)
            )
            rows, columns = rows // 2, columns // 2
            x = torch.cat([x[:, :extra], image.flatten(1, 2)], 1)
    return outs


def assert_same_gradients(model, ours, theirs):
    weights = [torch.randn_like(out) for out in ours]
    grads = []
    for outs in (ours, theirs):
        model.zero_grad()
        sum((out * weight).sum() for out, weight in zip(outs, weights)).backward()
        grads.append({n: p.grad.clone() for n, p in model.named_parameters()})
    for name, grad in grads[0].items():
        close = dict(atol=1e-5, rtol=1e-4) if name == 'pos_embed' else {}
        torch.testing.assert_close(grad, grads[1][name], msg=lambda m, n=name: f'{n}: {m}', **close)


@pytest.mark.parametrize('with_cls_token', [False, True])
@pytest.mark.parametrize('window', [None, 3, 4])
def test_hpvit_equals_a_naive_forward(window, with_cls_token):
    model = hpvit(window_size=window, with_cls_token=with_cls_token).double()
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    ours, theirs = model(images), naive_hpvit(model, images)
    assert [out.shape[-2:] for out in ours] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    for out, expected in zip(ours, theirs):
        torch.testing.assert_close(out, expected)
    assert_same_gradients(model, ours, theirs)


@pytest.mark.parametrize('with_cls_token', [False, True])
@pytest.mark.parametrize('size', [(64, 64), (48, 80), (50, 71)])
def test_one_stage_at_stride_16_is_the_plain_vit(size, with_cls_token):
    plain = randomize(VisionTransformer(ARCH, 64, out_type='featmap',
                                        with_cls_token=with_cls_token))  # fmt: skip
    model = HPViT(ARCH, img_size=64, patch_stride=16, depths=(6,), with_cls_token=with_cls_token)
    assert set(model.state_dict()) == set(plain.state_dict())
    model.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, *size)
    assert torch.equal(model(images)[0], plain(images)[0])


def test_pool_starts_as_the_average():
    models = [HPViT(ARCH, img_size=64, depths=(1, 1, 2, 2), pool=pool) for pool in ('conv', 'avg')]
    models[0].init_weights()
    missing, unexpected = models[1].load_state_dict(models[0].state_dict(), strict=False)
    assert not missing and all(key.startswith('pools.') for key in unexpected)
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(models[0](images), models[1](images))


@pytest.mark.parametrize('size', [(33, 65), (32, 32), (1, 100)])
def test_any_image_size(size):
    outs = hpvit(window_size=4)(torch.randn(1, 3, *size))
    rows, columns = (-(-side // 32) for side in size)
    assert [o.shape[-2:] for o in outs] == [(rows * n, columns * n) for n in (8, 4, 2, 1)]
    assert all(o.isfinite().all() for o in outs)


def test_relative_position_starts_without_effect_and_learns():
    images = torch.randn(1, 3, 64, 64)
    plain = hpvit(window_size=4)
    model = HPViT(ARCH, img_size=64, depths=(1, 1, 2, 2), out_indices=ALL, window_size=4,
                  relative_position=True)  # fmt: skip
    tables = model.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert len(tables) == 6 and model.state_dict()[tables[0]].shape == (49, 2)
    outs = model(images)
    for out, expected in zip(outs, plain(images)):
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)
    outs[-1].sum().backward()
    assert all(layer.attn.relative_position_bias_table.grad.any() for layer in model.layers)


@pytest.mark.parametrize('cls', [HPViT, HVT])
def test_checkpointing_changes_nothing(cls):
    kwargs = dict(depths=(1, 1, 2, 2), window_size=4) if cls is HPViT else {}
    model = randomize(cls(ARCH if cls is HPViT else POOLED, img_size=64, **kwargs)).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    lean = copy.deepcopy(model)
    lean.with_cp = True
    model(images)[0].sum().backward()
    lean(images)[0].sum().backward()
    for ours, theirs in zip(lean.parameters(), model.parameters()):
        assert torch.equal(ours.grad, theirs.grad)


def test_frozen_blocks_take_their_pools_along():
    model = hpvit(frozen_stages=2, window_size=4, relative_position=True)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen >= {'pos_embed', 'pools.1.weight', 'layers.1.attn.relative_position_bias_table'}
    assert not any(name.startswith(('pools.2', 'layers.2', 'out_norms')) for name in frozen)
    model = HVT(POOLED, img_size=64, frozen_stages=3)
    assert [p.requires_grad for p in model.pos_embeds] == [False, True]
    assert all(p.requires_grad for p in hpvit().parameters())


def test_layer_depth():
    model = hpvit()
    depth = {n: model.get_layer_depth('backbone.' + n, 'backbone.') for n, _ in
             model.named_parameters()}  # fmt: skip
    assert depth['pos_embed'] == depth['patch_embed.projection.weight'] == (0, 8)
    assert depth['layers.1.ln1.weight'] == depth['pools.1.weight'] == (2, 8)
    assert depth['pools.2.bias'] == depth['layers.3.attn.qkv.weight'] == (4, 8)
    assert depth['out_norms.0.weight'] == model.get_layer_depth('head.fc', 'backbone.') == (7, 8)
    assert HVT(POOLED).get_layer_depth('pos_embeds.1') == (4, 8)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(depths=(1, 1, 2)), r'depths must .* add up to 6 blocks, got \(1, 1, 2\)'),
        (dict(depths=(0, 2, 2, 2)), 'depths must be positive'),
        (dict(patch_stride=5), r'patch_stride must .* patch_size=16 .* got 5'),
        (dict(patch_stride=32), 'patch_stride must'),
        (dict(pool='max'), "pool must be 'conv' or 'avg', got 'max'"),
        (dict(out_indices=(4,)), r'out_indices must name stages below 4, got \(4,\)'),
        (dict(window_size=0), 'window_size must be at least 1 token, got 0'),
        (dict(window_size=4, global_attn_indexes=[6]), r'blocks below 6, got \[6\]'),
        (dict(window_size=4, global_attn_indexes=range(6)), 'window_size must be None where all 6'),
        (dict(relative_position=True), 'relative_position needs window_size'),
    ],
)
def test_hpvit_names_a_bad_argument(kwargs, message):
    with pytest.raises(ValueError, match=message):
        hpvit(**kwargs)


def test_unknown_arch():
    with pytest.raises(ValueError, match=r"arch must be one of .*'base'.* got 'bass'"):
        HPViT('bass')


# -- weights of a plain ViT ---------------------------------------------------


@pytest.fixture
def plain_checkpoint(tmp_path):
    """As MAE pre-training with MMPretrain leaves it."""
    plain = randomize(VisionTransformer(ARCH, 64))
    state_dict = {f'backbone.{k}': v for k, v in plain.state_dict().items()}
    state_dict['neck.mask_token'] = torch.zeros(1)
    torch.save(dict(state_dict=state_dict, meta={}), tmp_path / 'mae.pth')
    return tmp_path / 'mae.pth', plain.state_dict()


@pytest.mark.parametrize('with_cls_token', [False, True])
def test_a_plain_vit_loads_whole(plain_checkpoint, with_cls_token):
    path, source = plain_checkpoint
    model = HPViT(ARCH, img_size=64, depths=(1, 1, 2, 2), out_indices=ALL,
                  with_cls_token=with_cls_token, init_cfg=pretrained_cfg(path))  # fmt: skip
    model.init_weights()
    loaded = model.state_dict()
    same = [key for key in source if key not in ('pos_embed', 'cls_token')]
    assert all(torch.equal(loaded[key], source[key]) for key in same)
    expected = resize_pos_embed(source['pos_embed'], (4, 4), (16, 16), num_extra_tokens=1)
    torch.testing.assert_close(loaded['pos_embed'], expected[:, 0 if with_cls_token else 1 :])
    assert ('cls_token' in loaded) == with_cls_token
    new = {key.split('.')[0] for key in set(loaded) - set(source)}
    assert new == {'pools', 'out_norms'}


def test_another_vit_is_an_error(plain_checkpoint):
    path, _ = plain_checkpoint
    arch = dict(ARCH, num_layers=7)
    model = HPViT(arch, img_size=64, depths=(1, 1, 3, 2), init_cfg=pretrained_cfg(path))
    with pytest.raises(ValueError, match=r'12 keys of the model are missing.*layers\.6'):
        model.init_weights()


# -- HVT ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arch', 'gmacs', 'millions'),
    [
        ('ti_1', 0.64, 5.74),
        ('s_0', 4.57, 22.05),
        ('s_1', 2.40, 22.09),
        ('s_2', 1.94, 22.11),
        ('s_3', 1.62, 22.11),
        ('s_4', 1.39, 22.12),
        ('scale_ti_4', 1.39, 22.12),
    ],
)
def test_hvt_has_the_cost_of_the_paper(arch, gmacs, millions):
    """Table 1 of arXiv 2103.10619; parameters with the head of 1,000 classes."""
    model = HVT(arch)
    number = sum(p.numel() for p in model.parameters()) + (model.embed_dims + 1) * 1000
    assert round(number / 1e6, 2) == millions
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    assert round(counter.get_total_flops() / 2e9, 2) == gmacs


def naive_hvt(model, images):
    x, (rows, columns) = naive_embed(model, images)
    pools = 0
    for i, layer in enumerate(model.layers):
        x = naive_block(layer, x, [0] * x.shape[1])
        if i not in model.arch_settings['pool_after']:
            continue
        if model.pool_type == '1d':
            x = torch.stack([x[:, j : j + 3].amax(1) for j in range(0, x.shape[1] - 2, 2)], 1)
        else:
            image = x.unflatten(1, (rows, columns))
            x = torch.stack([
                image[:, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].amax((1, 2))
                for r in range(0, rows, 2) for c in range(0, columns, 2)
            ], 1)  # fmt: skip
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        x = x + model.pos_embeds[pools]
        pools += 1
    return F.layer_norm(x, x.shape[-1:], model.ln1.weight, model.ln1.bias, 1e-6).mean(1)


@pytest.mark.parametrize('pool', ['1d', '2d'])
def test_hvt_equals_a_naive_forward(pool):
    model = randomize(HVT(POOLED, pool=pool, img_size=(80, 112))).double()
    images = torch.randn(2, 3, 80, 112, dtype=torch.float64)
    ours, theirs = model(images)[0], naive_hvt(model, images)
    torch.testing.assert_close(ours, theirs)
    assert_same_gradients(model, [ours], [theirs])


def test_hvt_2d_feeds_a_detector():
    arch = dict(ARCH, pool_after=(0, 1, 3))
    model = HVT(arch, pool='2d', patch_stride=4, window_size=4, out_type='featmap',
                out_indices=ALL, img_size=64)  # fmt: skip
    outs = model(torch.randn(2, 3, 64, 96))
    assert [tuple(o.shape) for o in outs] == [
        (2, 16, 16, 24), (2, 16, 8, 12), (2, 16, 4, 6), (2, 16, 2, 3)]  # fmt: skip


@pytest.mark.parametrize('pool', ['1d', '2d'])
@pytest.mark.parametrize('size', [(64, 64), (96, 48), (50, 70), (80, 80)])
def test_hvt_takes_any_size(pool, size):
    out = HVT(POOLED, pool=pool, img_size=64)(torch.randn(1, 3, *size))[0]
    assert out.shape == (1, 16) and out.isfinite().all()


@pytest.mark.parametrize('pool', ['1d', '2d'])
def test_hvt_positions_keep_their_place(pool):
    """Positions that hold their own row and column still do, in an image of another size."""
    model = HVT(POOLED, pool=pool, img_size=256)
    source, target = (16, 16), (24, 20)

    def places(grid, stage):  # of each token after the pool, 0 to 1
        if pool == '2d':
            rows, columns = model._grids(grid)[stage]
            r, c = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
            return torch.stack([(r + 0.5) / rows, (c + 0.5) / columns], -1).reshape(1, -1, 2)
        step = 2 ** (stage + 1)
        centre = (torch.arange(model._lengths(grid)[stage]) + 1) * step - 1
        row, column = centre // grid[1], centre % grid[1]
        return torch.stack([(row + 0.5) / grid[0], (column + 0.5) / grid[1]], -1)[None]

    for stage in (0, 1):
        resized = model._resized(places(source, stage), stage, source, target)
        error = (resized - places(target, stage)).abs()
        # tokens of the sequence that start a row are nearest to one that ends the row before
        assert resized.shape == places(target, stage).shape
        assert error.median() < 0.06, error.median()


def test_hvt_checkpoint_of_another_size(tmp_path):
    source = randomize(HVT(POOLED, img_size=64))
    state_dict = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    torch.save(dict(state_dict=state_dict), tmp_path / 'hvt.pth')
    model = HVT(POOLED, img_size=96, init_cfg=pretrained_cfg(tmp_path / 'hvt.pth'))
    model.init_weights()
    images = torch.randn(1, 3, 96, 96)  # resized at loading or at run time
    torch.testing.assert_close(model(images), source(images))

    grid = HVT(POOLED, pool='2d', img_size=64, init_cfg=pretrained_cfg(tmp_path / 'hvt.pth'))
    with pytest.raises(ValueError, match=r'pos_embeds\.0 \(checkpoint \(1, 7, 16\), model \(1, 4,'):
        grid.init_weights()


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(arch='s_5'), "arch must be one of .*'s_4'.* got 's_5'"),
        (dict(arch=ARCH), 'a dict with pool_after'),
        (dict(pool='3d'), "pool must be '1d' or '2d', got '3d'"),
        (dict(out_type='cls_token'), "out_type must be .* got 'cls_token'"),
        (dict(out_type='featmap'), "out_type='featmap' needs a grid: pool must be '2d'"),
        (dict(window_size=7), "window_size=7 needs a grid: pool must be '2d'"),
        (dict(patch_stride=4), "patch_stride=4 needs a grid: pool must be '2d'"),
        (dict(arch='s_4', img_size=32), r'too small: its 2 x 2 patches .* pool 2 of 4 takes'),
    ],
)
def test_hvt_names_a_bad_argument(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HVT(**kwargs)


def test_hvt_image_too_small_at_run_time():
    with pytest.raises(ValueError, match='the image is too small: its 2 x 1 patches'):
        HVT(POOLED)(torch.randn(1, 3, 32, 16))

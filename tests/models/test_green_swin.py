import pytest
import torch
from mmpretrain.models import SwinTransformer

from greenmim_mm.models import GreenSwinTransformer, GreenSwinTransformerV2
from greenmim_mm.models.backbones.green_swin import _run_block, window_shift
from greenmim_mm.sparsity import RandomMasking, scatter_to_grid, token_layout, window_ids
from tests.conftest import TINY
from tests.models.dense import attended, dense_shift


def build(window=4, **kwargs):
    torch.manual_seed(0)
    model = GreenSwinTransformer(
        TINY, window_size=window, drop_path_rate=0.0, out_indices=(0, 1, 2, 3), **kwargs
    ).double()  # rounding must not hide a small error in the gradients
    for name, param in model.named_parameters():  # zeros would hide a wrong bias or norm
        if 'table' in name or 'norm' in name:
            torch.nn.init.normal_(param, std=0.5)
    return model.eval()


def as_tokens(feature_map, visible, side):
    layout = token_layout(visible, side)
    index = layout.flat_index[:, :, None].expand(len(feature_map), -1, feature_map.shape[1])
    return feature_map.flatten(2).transpose(1, 2).gather(1, index)


def grads(model, outs):
    model.zero_grad()
    sum((out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum() for out in outs).backward()
    return {name: param.grad.clone() for name, param in model.named_parameters()}


@pytest.mark.parametrize('size,window,pad_small_map', [
    ((128, 128), 4, False),  # last map = window: no shift there
    ((128, 128), 4, True),  # last map = window, shifted as in detection
    ((128, 256), 4, False),
    ((224, 224), 7, False),
])  # fmt: skip
def test_all_visible_equals_dense(size, window, pad_small_map):
    model = build(window, pad_small_map=pad_small_map)
    images = torch.randn(2, 3, *size).double()
    visible = torch.ones(1, size[0] // 32, size[1] // 32, dtype=torch.bool)
    dense = [as_tokens(m, visible, 8 // 2**i) for i, m in enumerate(model(images))]
    sparse = model(images, visible)
    for d, s in zip(dense, sparse):
        torch.testing.assert_close(s, d)
    assert_equal_grads(grads(model, sparse), grads(model, dense))


def assert_equal_grads(got, expected):
    for name, grad in expected.items():
        torch.testing.assert_close(got[name], grad, msg=lambda text, name=name: f'{name}: {text}')


def naive_masked_swin(model, images, visible):
    """Dense Swin on the full grid in which hidden tokens are keys of nobody.

    One image at a time; features of hidden places are computed and never used.
    """
    outs = [[] for _ in model.stages]
    for b, image in enumerate(images):
        seen = visible[b if len(visible) > 1 else 0]
        x = model.patch_embed.projection(image[None])
        grid = x.shape[-2:]
        x = model.patch_embed.norm(x.flatten(2).transpose(1, 2))[0]  # HW x C
        for i, stage in enumerate(model.stages):
            side = 8 // 2**i
            mask = seen.repeat_interleave(side, 0).repeat_interleave(side, 1).flatten()
            row = torch.arange(grid[0])[:, None].expand(grid).flatten()
            col = torch.arange(grid[1])[None, :].expand(grid).flatten()
            for block in stage.blocks:
                msa, window = block.attn.w_msa, block.attn.window_size
                shift = dense_shift(block.attn, grid)
                wr, wc = (row + window - shift) // window, (col + window - shift) // window
                allowed = (wr[:, None] == wr) & (wc[:, None] == wc) & mask[None, :]
                allowed |= torch.eye(len(row), dtype=torch.bool)  # no empty row
                relative = (row[:, None] - row + window - 1) * (2 * window - 1)
                relative = relative + col[:, None] - col + window - 1
                relative = relative.clamp(0, len(msa.relative_position_bias_table) - 1)
                bias = msa.relative_position_bias_table[relative].permute(2, 0, 1)
                bias = bias.masked_fill(~allowed, float('-inf'))
                qkv = msa.qkv(block.norm1(x)).view(len(x), 3, msa.num_heads, -1)
                q, k, v = qkv.permute(1, 2, 0, 3)
                attended = ((q @ k.transpose(1, 2)) * msa.scale + bias).softmax(-1) @ v
                x = x + msa.proj(attended.transpose(0, 1).flatten(1))
                x = x + block.ffn.layers(block.norm2(x))
            outs[i].append(getattr(model, f'norm{i}')(x)[mask])
            if stage.downsample is not None:
                x, grid = stage.downsample(x[None], grid)
                x = x[0]
    return [torch.stack(out) for out in outs]  # raster order of the visible


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('size,window,pad_small_map', [
    ((128, 128), 4, False),
    ((96, 160), 7, True),  # maps of 6 x 10 and 3 x 5 are shifted
    ((64, 96), 7, False),
    ((160, 64), 3, False),
])  # fmt: skip
def test_masked_equals_naive(per_image, size, window, pad_small_map):
    model = build(window, pad_small_map=pad_small_map)
    images = torch.randn(2, 3, *size).double()
    visible = RandomMasking(0.6, per_image=per_image)(size, 2, seed=2)

    def in_raster_order(outs):
        for i, out in enumerate(outs):
            layout = token_layout(visible, 8 // 2**i)
            order = layout.flat_index.argsort(1)[:, :, None].expand(len(out), -1, out.shape[-1])
            yield out.gather(1, order)

    sparse = list(in_raster_order(model(images, visible)))
    naive = naive_masked_swin(model, images, visible)
    for s, n in zip(sparse, naive):
        torch.testing.assert_close(s, n)
    assert_equal_grads(grads(model, sparse), grads(model, naive))


@pytest.mark.parametrize('per_image', [False, True])
def test_hidden_pixels_never_leak(per_image):
    model = build()
    images = torch.randn(2, 3, 128, 192).double()
    visible = RandomMasking(0.75, per_image=per_image)((128, 192), 2, seed=0)
    seen = visible.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None]
    other = torch.where(seen, images, torch.full_like(images, float('nan')))
    for a, b in zip(model(images, visible), model(other, visible)):
        assert torch.equal(a, b)


def test_shared_mask_equals_the_same_mask_per_image():
    model = build()
    images = torch.randn(3, 3, 128, 128).double()
    visible = RandomMasking(0.75)((128, 128), 3, seed=0)
    for a, b in zip(model(images, visible), model(images, visible.expand(3, -1, -1))):
        torch.testing.assert_close(a, b)


def test_state_dict_is_that_of_the_parents():
    from mmdet.models import SwinTransformer as DetSwin

    green = GreenSwinTransformer('tiny', out_indices=(0, 1, 2, 3)).state_dict()
    parent = SwinTransformer('tiny', out_indices=(0, 1, 2, 3)).state_dict()
    assert {k: v.shape for k, v in green.items()} == {k: v.shape for k, v in parent.items()}
    det = DetSwin().state_dict()
    assert {k: v.shape for k, v in green.items()} == {k: v.shape for k, v in det.items()}


def test_dense_forward_is_the_parents():
    green = build(7)
    parent = SwinTransformer(TINY, window_size=7, drop_path_rate=0.0, out_indices=(0, 1, 2, 3))
    parent.double().load_state_dict(green.state_dict())
    parent.eval()
    images = torch.randn(1, 3, 224, 224).double()
    for a, b in zip(green(images), parent(images)):
        assert torch.equal(a, b)


def test_activation_checkpointing_changes_nothing():
    images = torch.randn(2, 3, 128, 128).double()
    visible = RandomMasking(0.75)((128, 128), 2, seed=0)
    plain, checkpointed = build(), build(with_cp=True)
    a, b = (grads(m.train(), m(images, visible)) for m in (plain, checkpointed))
    for name in a:
        torch.testing.assert_close(a[name], b[name])


@pytest.mark.slow
def test_compiled_blocks_equal_eager_ones_without_compiling_anew():
    import torch._dynamo.testing

    plain = build()
    compiled = build(compile_blocks=True)
    images = torch.randn(2, 3, 128, 128).double()
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend('aot_eager')
    compiled._compiled_block = torch.compile(_run_block, backend=counter)
    for iteration in range(6):
        visible = RandomMasking(0.75)((128, 128), 2, seed=0, iteration=iteration)
        a, b = (grads(m.train(), m(images, visible)) for m in (plain, compiled))
        for name in a:
            torch.testing.assert_close(a[name], b[name])
        if iteration == 0:
            first = counter.frame_count
    assert first == counter.frame_count <= 2 * len(plain.stages)


@pytest.mark.parametrize('img_size', [128, (128, 192)])
def test_absolute_position_embedding_follows_the_tokens(img_size):
    model = build(use_abs_pos_embed=True, img_size=img_size)
    torch.nn.init.normal_(model.absolute_pos_embed)
    images = torch.randn(1, 3, 128, 192).double()
    visible = torch.ones(1, 4, 6, dtype=torch.bool)
    dense = as_tokens(model(images)[0], visible, 8)
    torch.testing.assert_close(model(images, visible)[0], dense)


@pytest.mark.parametrize('pad_small_map', [False, True])
@pytest.mark.parametrize('grid', [(3, 30), (6, 12), (12, 6), (7, 7), (7, 15), (4, 4), (8, 9)])
@pytest.mark.parametrize('cls', [GreenSwinTransformer, GreenSwinTransformerV2])
def test_tokens_attend_to_those_that_the_dense_attention_lets_them(cls, grid, pad_small_map):
    """By gradients through MMPretrain's attention, on maps narrower than the window, too."""
    arch = TINY if cls is GreenSwinTransformer else dict(TINY, extra_norm_every_n_blocks=0)
    model = cls(arch, window_size=7, drop_path_rate=0.0, pad_small_map=pad_small_map)
    layout = token_layout(torch.ones(1, *grid, dtype=torch.bool), side=1)
    for block in model.stages[0].blocks:
        expected = attended(block.attn, grid)
        if expected is None:  # dense attention refuses the map: no shift
            assert min(grid) < 7 and not pad_small_map
            col = torch.arange(grid[1]).repeat(grid[0]) // 7
            row = torch.arange(grid[0]).repeat_interleave(grid[1]) // 7
            expected = (row[:, None] == row) & (col[:, None] == col)
        ids = window_ids(layout, *window_shift(block.attn, grid))
        assert torch.equal(torch.from_numpy(ids[:, None] == ids), expected)


def test_order_survives_the_encoder():
    """What a unit shows decides its token alone: nothing is moved to another place."""
    model = build()
    visible = RandomMasking(0.5)((128, 128), 1, seed=3)
    image = torch.randn(1, 3, 128, 128).double()
    layout = token_layout(visible, 1)
    before = scatter_to_grid(model(image, visible)[3], layout)
    row, col = layout.row[0, 2], layout.col[0, 2]
    image[:, :, row * 32 : row * 32 + 32, col * 32 : col * 32 + 32] += 1
    change = (scatter_to_grid(model(image, visible)[3], layout) - before).abs().sum(-1)[0]
    assert change.argmax() == row * 4 + col


@pytest.mark.parametrize('kwargs,message', [
    (dict(patch_cfg=dict(stride=2)), r'got kernel \(4, 4\), stride \(2, 2\)'),
    (dict(stage_cfgs=dict(downsample_cfg=dict(kernel_size=3, stride=2))), 'must merge 2 x 2'),
])  # fmt: skip
def test_bad_architecture(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GreenSwinTransformer(TINY, **kwargs)


@pytest.mark.parametrize('size,visible_shape,message', [
    ((100, 128), (1, 4, 4), r'mask unit \(32 pixels\), got \(100, 128\)'),
    ((128, 128), (1, 4, 5), r'visible must be of shape \(1 or 2, 4, 4\).*got \(1, 4, 5\)'),
    ((128, 128), (3, 4, 4), r'visible must be of shape \(1 or 2, 4, 4\).*got \(3, 4, 4\)'),
])  # fmt: skip
def test_bad_input(size, visible_shape, message):
    with pytest.raises(ValueError, match=message):
        build()(torch.zeros(2, 3, *size).double(), torch.ones(visible_shape, dtype=torch.bool))


def test_starts_as_pre_training_does():
    """Xavier-uniform: the variance is 2 / (inputs + outputs), whatever the width."""
    model = GreenSwinTransformer('tiny')
    model.init_weights()
    for name, parameter in model.named_parameters():
        if name.endswith('weight') and parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx((2 / sum(parameter.shape)) ** 0.5, 0.05)
        elif name.endswith('qkv.bias'):
            assert not parameter.any()


def test_frozen_stages_are_frozen_from_the_start():
    model = GreenSwinTransformer(TINY, frozen_stages=3)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(p.requires_grad for p in GreenSwinTransformer(TINY).parameters())

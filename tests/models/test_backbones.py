"""Every green encoder: keys, dense forward, all visible, no leak, crop; masked against naive."""

import pytest
import torch
from torch import nn

from greenmim_mm.models import (
    GreenConvNeXt,
    GreenPCPVT,
    GreenPVT,
    GreenPVTv2,
    GreenSVT,
    GreenSwinTransformer,
    GreenSwinTransformerV2,
)
from greenmim_mm.testing import check_green_backbone
from tests.conftest import TINY
from tests.models.dense import dense_shift

ALL = (0, 1, 2, 3)
TWINS = dict(
    embed_dims=[8, 16, 16, 32],
    depths=[2, 2, 2, 2],
    num_heads=[1, 2, 2, 4],
    patch_sizes=[4, 2, 2, 2],
    strides=[4, 2, 2, 2],
    mlp_ratios=[2, 2, 2, 2],
    sr_ratios=[8, 4, 2, 1],
)
SVT = dict(TWINS, window_sizes=[4, 4, 4, 4])
PVT = dict(embed_dims=4, num_layers=[2, 1, 2, 1], num_heads=[1, 2, 2, 4], mlp_ratios=[2, 2, 2, 2],
           drop_path_rate=0.0)  # fmt: skip
SWIN_V2 = dict(arch={**TINY, 'extra_norm_every_n_blocks': 2}, window_size=4, img_size=128,
               drop_path_rate=0.0, out_indices=ALL)  # fmt: skip
CONVNEXT = dict(arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 16, 24]), out_indices=list(ALL),
                gap_before_final_norm=False, layer_scale_init_value=0.5)  # fmt: skip

CASES = {
    'swin': (GreenSwinTransformer, dict(arch=TINY, window_size=4, drop_path_rate=0.0,
                                        out_indices=ALL), dict(crop=False)),
    'swin_v2': (GreenSwinTransformerV2, SWIN_V2, dict(crop=False)),
    'svt': (GreenSVT, dict(arch=SVT, out_indices=ALL, norm_after_stage=True), dict(crop=False)),
    # windows as wide as a mask unit or a fraction of it: a rectangle of units fits them
    'svt_aligned': (GreenSVT, dict(arch=dict(SVT, window_sizes=[8, 4, 2, 1]), out_indices=ALL),
                    dict(img_size=(96, 160))),
    'pcpvt': (GreenPCPVT, dict(arch=TWINS, out_indices=ALL, qkv_bias=True),
              dict(img_size=(96, 160))),
    'pvt': (GreenPVT, dict(PVT, pretrain_img_size=128), dict(img_size=(96, 160), crop=False)),
    # patches that do not overlap, and are shifted by a padded pixel
    'pvt_padded': (GreenPVT, dict(PVT, pretrain_img_size=128, paddings=[1, 0, 0, 0]),
                   dict(img_size=(96, 160), crop=False)),
    'pvt_v2': (GreenPVTv2, PVT, dict(img_size=(96, 160))),
    'convnext': (GreenConvNeXt, CONVNEXT, dict(img_size=(96, 160))),
    'convnext_conv': (GreenConvNeXt, dict(CONVNEXT, linear_pw_conv=False), {}),
    # global response normalisation: statistics over the visible, hence no crop of a larger map
    'convnext_v2': (GreenConvNeXt, dict(CONVNEXT, use_grn=True, layer_scale_init_value=0.0),
                    dict(img_size=(64, 96))),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES)
def test_green_backbone(case):
    cls, cfg, options = CASES[case]
    check_green_backbone(cls, cfg, **options)


@pytest.mark.parametrize('case', ['swin', 'swin_v2', 'svt', 'pcpvt', 'pvt', 'pvt_v2', 'convnext'])
def test_transfer_loads_every_tensor(case, tmp_path):
    """Pre-training (last stage) -> file -> the same class with all stages, as in detection."""
    cls, cfg, _ = CASES[case]
    torch.manual_seed(1)
    pretraining = cls(**{**cfg, 'out_indices': [3]})
    saved = pretraining.state_dict()
    checkpoint = str(tmp_path / 'epoch_1.pth')
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in saved.items()}), checkpoint)

    init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
    detector = cls(**cfg, init_cfg=init_cfg)
    detector.init_weights()
    loaded = detector.state_dict()
    assert set(saved) <= set(loaded)
    assert all(torch.equal(loaded[name], value) for name, value in saved.items())

    wrong = cls(**cfg, init_cfg=dict(init_cfg, prefix='encoder.'))
    with pytest.raises(ValueError, match=r"prefix='encoder\.' matches no key"):
        wrong.init_weights()


@pytest.mark.parametrize('cls,cfg,message', [
    (GreenSVT, dict(arch=dict(SVT, patch_sizes=[7, 2, 2, 2])), 'must equal arch.strides'),
    (GreenPCPVT, dict(arch=dict(TWINS, sr_ratios=[16, 4, 2, 1])), r'sr_ratios\[0\] .* 8 tokens'),
    (GreenPVTv2, dict(PVT, sr_ratios=[8, 4, 2, 2]), r'sr_ratios\[3\] .* 1 tokens'),
    (GreenPVT, dict(PVT, patch_sizes=[8, 2, 2, 2]),
     r'paddings\[0\] must be at least 2 and below 4 for patch_sizes\[0\]=8 .* got 0'),
    (GreenPVT, dict(PVT, convert_weights=True), 'convert_weights must be False, got True'),
    (GreenPVT, dict(PVT, strides=[4, 2, 3, 2]), 'stride of stage 2 must be a power of two, got 3'),
    (GreenSwinTransformerV2, dict(SWIN_V2, patch_cfg=dict(stride=2)), r'stride \(2, 2\)'),
])  # fmt: skip
def test_bad_architecture(cls, cfg, message):
    with pytest.raises(ValueError, match=message):
        cls(**cfg)


def naive_masked(model, images, visible):
    """The dense modules on whole maps, one image at a time, written for clarity.

    Hidden places are set to zero before every convolution, and attention sees the
    visible places alone.
    """
    outs = []
    for b, image in enumerate(images):
        seen = visible[b if len(visible) > 1 else 0]
        outs.append(NaiveImage(model, seen).run(image[None]))
    return [torch.cat(stage) for stage in zip(*outs)]


class NaiveImage:
    def __init__(self, model, seen):
        self.model, self.seen = model, seen

    def mask(self, x):
        """Visible places of a map of shape 1 x C x H x W."""
        for axis in (0, 1):
            repeat = x.shape[2 + axis] // self.seen.shape[axis]
            seen = self.seen if axis == 0 else seen  # noqa: F821
            seen = seen.repeat_interleave(repeat, axis)
        return seen

    def conv(self, conv, x):
        x = conv(x * self.mask(x))
        return x * self.mask(x)

    def tokens(self, x):
        return x[0].flatten(1).t()[self.mask(x).flatten()]  # in raster order

    def put(self, tokens, like):
        channels = tokens.shape[1]
        full = like.new_zeros(like.shape[2] * like.shape[3], channels)
        full[self.mask(like).flatten()] = tokens
        return full.t().reshape(1, channels, *like.shape[2:])

    def norm(self, norm, x):
        return self.put(norm(self.tokens(x)), x)

    def reduced(self, attention, x):
        """Visible tokens of the spatially reduced map."""
        if attention.sr_ratio == 1:
            return self.tokens(x)
        return attention.norm(self.tokens(self.conv(attention.sr, x)))

    @staticmethod
    def attend(q, k, v, heads):
        q, k, v = (t.view(len(t), heads, -1).transpose(0, 1) for t in (q, k, v))
        weights = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1)
        return (weights @ v).transpose(0, 1).flatten(1)

    def twins_block(self, block, x):
        attention, normed = block.attn, self.norm(block.norm1, x)
        tokens = self.tokens(normed)
        if hasattr(attention, 'window_size'):
            row, col = self.mask(x).nonzero(as_tuple=True)
            window = row // attention.window_size * 1000 + col // attention.window_size
            out = torch.empty_like(tokens)
            for w in window.unique():
                members = window == w
                q, k, v = attention.qkv(tokens[members]).chunk(3, -1)
                out[members] = self.attend(q, k, v, attention.num_heads)
        else:
            k, v = attention.kv(self.reduced(attention, normed)).chunk(2, -1)
            out = self.attend(attention.q(tokens), k, v, attention.num_heads)
        x = x + self.put(attention.proj(out), x)
        return x + self.put(block.ffn(block.norm2(self.tokens(x))), x)

    def pvt_block(self, block, x):
        attention, normed = block.attn, self.norm(block.norm1, x)
        inner = attention.attn
        reduced = self.reduced(attention, normed)
        (wq, wk, wv), (bq, bk, bv) = inner.in_proj_weight.chunk(3), inner.in_proj_bias.chunk(3)
        q, k, v = self.tokens(normed) @ wq.T + bq, reduced @ wk.T + bk, reduced @ wv.T + bv
        x = x + self.put(inner.out_proj(self.attend(q, k, v, inner.num_heads)), x)
        hidden = self.norm(block.norm2, x)
        for layer in block.ffn.layers:
            is_conv = isinstance(layer, nn.Conv2d)
            hidden = self.conv(layer, hidden) if is_conv else layer(hidden)
        return x + hidden * self.mask(hidden)

    def swin_v2_block(self, block, x):
        attention = block.attn
        msa, window = attention.w_msa, attention.window_size
        shift = dense_shift(attention, x.shape[2:])
        row, col = self.mask(x).nonzero(as_tuple=True)
        ids = (row + window - shift) // window * 1000 + (col + window - shift) // window
        tokens = self.tokens(x)
        bias = torch.cat([msa.q_bias, torch.zeros_like(msa.v_bias), msa.v_bias])
        table = 16 * msa.cpb_mlp(msa.relative_coords_table)[0].sigmoid()
        factor = msa.logit_scale.clamp(max=torch.tensor(100.0).log().item()).exp()
        out = torch.empty_like(tokens)
        for window_id in ids.unique():
            members = (ids == window_id).nonzero()[:, 0]
            qkv = tokens[members] @ msa.qkv.weight.T + bias
            q, k, v = qkv.view(len(members), 3, msa.num_heads, -1).permute(1, 2, 0, 3)
            cosine = nn.functional.cosine_similarity(q[:, :, None], k[:, None], dim=-1, eps=1e-12)
            r, c = row[members], col[members]
            position = table[r[:, None] - r + window - 1, c[:, None] - c + window - 1]
            weights = (cosine * factor + position.permute(2, 0, 1)).softmax(-1)
            out[members] = (weights @ v).transpose(0, 1).flatten(1)
        tokens = tokens + block.norm1(msa.proj(out))
        tokens = tokens + block.norm2(block.ffn(tokens))
        return self.put(block.norm3(tokens) if block.extra_norm else tokens, x)

    def run(self, x):
        model, outs = self.model, []
        if isinstance(model, GreenSwinTransformerV2):
            x = self.norm(model.patch_embed.norm, self.conv(model.patch_embed.projection, x))
            for i, stage in enumerate(model.stages):
                if stage.downsample is not None:
                    grid = x.shape[2:]
                    x, grid = stage.downsample(x.flatten(2).transpose(1, 2), grid)
                    x = x.transpose(1, 2).reshape(1, -1, *grid)
                for block in stage.blocks:
                    x = self.swin_v2_block(block, x)
                outs.append(self.tokens(self.norm(getattr(model, f'norm{i}'), x))[None])
        elif isinstance(model, (GreenSVT, GreenPCPVT)):
            for i, blocks in enumerate(model.stages):
                embed = model.patch_embeds[i]
                x = self.norm(embed.norm, self.conv(embed.projection, x))
                for j, block in enumerate(blocks):
                    x = self.twins_block(block, x)
                    if j == 0:
                        x = x + self.conv(model.position_encodings[i].proj, x)
                x = self.norm(getattr(model, f'norm_after_stage{i}'), x)
                outs.append(self.tokens(x)[None])
        elif isinstance(model, GreenConvNeXt):
            for i, blocks in enumerate(model.stages):
                for layer in model.downsample_layers[i]:
                    if isinstance(layer, nn.Conv2d):
                        x = self.conv(layer, x)
                    else:
                        x = layer(x) * self.mask(x)
                for block in blocks:
                    y = self.tokens(self.conv(block.depthwise_conv, x))
                    y = nn.functional.layer_norm(
                        y, y.shape[-1:], block.norm.weight, block.norm.bias, block.norm.eps
                    )
                    y = block.act(block.pointwise_conv1(y))
                    if block.grn is not None:  # statistics over the visible places
                        norm = (y**2).sum(0).sqrt()
                        response = norm / (norm.mean() + block.grn.eps)
                        y = block.grn.gamma * y * response + block.grn.beta + y
                    y = block.pointwise_conv2(y)
                    x = x + self.put(y if block.gamma is None else y * block.gamma, x)
                norm = getattr(model, f'norm{i}')
                outs.append(self.tokens(norm(x))[None])
        else:
            for embed, blocks, norm in model.layers:
                x = self.norm(embed.norm, self.conv(embed.projection, x))
                for block in blocks:
                    if hasattr(block, 'pos_embed'):
                        position = block.resize_pos_embed(block.pos_embed, x.shape[2:])
                        x = x + position.transpose(1, 2).view_as(x)
                        x = x * self.mask(x)
                    else:
                        x = self.pvt_block(block, x)
                x = self.norm(norm, x)
                outs.append(self.tokens(x)[None])
        return outs


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('case', ['svt', 'svt_aligned', 'pcpvt', 'pvt', 'pvt_v2', 'convnext',
                                  'convnext_v2', 'swin_v2'])  # fmt: skip
def test_masked_equals_naive(case, per_image):
    from greenmim_mm.sparsity import RandomMasking
    from greenmim_mm.testing import _gradients, _prepare

    cls, cfg, _ = CASES[case]
    torch.manual_seed(0)
    model = _prepare(cls(**cfg))
    size = (96, 160)  # windows of 4 do not fit the maps: no padding takes part
    images = torch.randn(2, 3, *size, dtype=torch.double)
    visible = RandomMasking(0.6, per_image=per_image)(size, 2, seed=2)
    sparse = [
        out.gather(1, layout.flat_index.argsort(1)[:, :, None].expand(len(out), -1, out.shape[-1]))
        for out, layout in zip(model(images, visible), model.layouts(visible))
    ]
    naive = naive_masked(model, images, visible)
    for got, expected in zip(sparse, naive):
        torch.testing.assert_close(got, expected)
    got, expected = _gradients(model, sparse), _gradients(model, naive)
    assert got.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], msg=lambda t, n=name: f'{n}: {t}')

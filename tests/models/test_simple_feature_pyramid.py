import pytest
import torch
import torch.nn.functional as F

from greenmim_mm.models import SimpleFeaturePyramid


def channel_norm(x, norm):
    y = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], norm.weight, norm.bias, norm.eps)
    return y.permute(0, 3, 1, 2)


def upsample(x, conv):
    """A 2 x 2 transposed convolution of stride 2: each pixel becomes four."""
    out = torch.einsum('bchw,cdij->bdhiwj', x, conv.weight)
    return out.flatten(4, 5).flatten(2, 3) + conv.bias[:, None, None]


def test_equals_its_parts_written_out():
    neck = SimpleFeaturePyramid(8, 4)
    neck.init_weights()
    x = torch.randn(2, 8, 6, 4)
    first, norm, _, second = neck.branches[0][:4]
    scaled = [
        upsample(F.gelu(channel_norm(upsample(x, first), norm)), second),
        upsample(x, neck.branches[1][0]),
        x,
        x.unflatten(3, (2, 2)).unflatten(2, (3, 2)).amax((3, 5)),
    ]
    outs = neck((x,))
    for out, y, branch in zip(outs, scaled, neck.branches):
        reduce, norm1, conv, norm2 = branch[-4:]
        y = channel_norm(torch.einsum('bchw,dc->bdhw', y, reduce.weight[:, :, 0, 0]), norm1)
        y = channel_norm(F.conv2d(y, conv.weight, padding=1), norm2)
        torch.testing.assert_close(out, y)
    assert [o.shape[-2:] for o in outs] == [(24, 16), (12, 8), (6, 4), (3, 2), (2, 1)]
    assert torch.equal(outs[4], outs[3][:, :, ::2, ::2])


def test_bad_arguments():
    with pytest.raises(ValueError, match=r'scales must be among 4, 2, 1 and 0.5.*got \(8,\) and 5'):
        SimpleFeaturePyramid(8, scales=(8,))
    with pytest.raises(ValueError, match=r'in_channels must be of one map, got \[8, 8\]'):
        SimpleFeaturePyramid([8, 8])

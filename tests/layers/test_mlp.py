import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import nn

from greenmim_mm.layers import ffn_branch, mlp_branch


def build(**kwargs):
    torch.manual_seed(0)
    ffn = FFN(8, 32, act_cfg=dict(type='GELU'), **kwargs)
    norm = nn.LayerNorm(8, eps=1e-6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm, ffn


def run(branch, x, *modules, **autocast):
    x = x.clone().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16, **autocast):
        out = branch(x)
    parameters = [p for module in modules for p in module.parameters()]
    return [out, *torch.autograd.grad((out.double() ** 2).sum(), [x, *parameters])]


def test_equals_the_plain_formula():
    norm, ffn = (module.double() for module in build())
    fc1, fc2 = ffn.layers[0][0], ffn.layers[1]
    x = torch.randn(2, 5, 8, dtype=torch.double)
    lean = run(lambda x: mlp_branch(x, norm, fc1, fc2), x, norm, ffn, enabled=False)
    plain = run(lambda x: x + fc2(nn.functional.gelu(fc1(norm(x)))), x, norm, ffn, enabled=False)
    for got, expected in zip(lean, plain):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize('stream', [torch.float32, torch.bfloat16])
def test_autocast_has_the_types_of_the_plain_branch(stream):
    norm, ffn = build()
    x = torch.randn(2, 5, 8).to(stream)
    fc1, fc2 = ffn.layers[0][0], ffn.layers[1]
    lean = run(lambda x: mlp_branch(x, norm, fc1, fc2), x, norm, ffn, enabled=True)
    plain = run(lambda x: ffn(norm(x), identity=x), x, norm, ffn, enabled=True)
    for got, expected in zip(lean, plain):
        assert got.dtype == expected.dtype
        assert (got - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize('kwargs,is_lean', [
    (dict(), True),
    (dict(dropout_layer=dict(type='DropPath', drop_prob=0.0)), True),
    (dict(dropout_layer=dict(type='DropPath', drop_prob=0.9)), False),
    (dict(ffn_drop=0.5), False),
    (dict(layer_scale_init_value=0.1), False),
])  # fmt: skip
def test_lean_only_where_it_is_the_same(kwargs, is_lean):
    norm, ffn = build(**kwargs)
    x = torch.randn(64, 5, 8, requires_grad=True)

    def branch(training):
        ffn.train(training)
        torch.manual_seed(1)
        out = ffn_branch(x, norm, ffn)
        torch.manual_seed(1)
        torch.testing.assert_close(out, ffn(norm(x), identity=x))
        return out.grad_fn.name()

    assert ('MLPBranch' in branch(training=True)) == is_lean
    assert ('MLPBranch' in branch(training=False)) == ('layer_scale_init_value' not in kwargs)


def test_keeps_five_numbers_per_channel_of_ten():
    norm, ffn = build()
    x = torch.randn(100, 8)
    parameters = {p.data_ptr() for module in (norm, ffn) for p in module.parameters()}

    def kept(branch):
        storages = {}

        def pack(tensor):
            if tensor.data_ptr() not in parameters:
                storages[tensor.data_ptr()] = tensor
            return tensor

        source = x.clone().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            branch(source)
        return sum(t.numel() for t in storages.values()) / x.numel()

    # and two numbers per token: its mean and deviation
    assert kept(lambda x: ffn_branch(x, norm, ffn)) == 5 + 2 / 8
    assert kept(lambda x: ffn(norm(x), identity=x)) >= 10

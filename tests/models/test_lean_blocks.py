"""with_cp and compile_blocks: less kept or less launched, the same numbers."""

import copy

import pytest
import torch
import torch._dynamo.testing
from torch.autograd.graph import saved_tensors_hooks

from greenmim_mm.layers.drop_path import TensorDropPath, use_tensor_drop_paths
from greenmim_mm.models import GreenSwinTransformer, GreenSwinTransformerV2
from greenmim_mm.models.backbones import green_swin, green_swin_v2
from greenmim_mm.sparsity import RandomMasking
from tests.conftest import TINY
from tests.models.test_backbones import CASES, SWIN_V2

ENCODERS = ['swin', 'swin_v2', 'svt', 'pcpvt', 'pvt', 'pvt_v2', 'convnext', 'convnext_v2']


def build(case, **options):
    cls, cfg, _ = CASES[case]
    torch.manual_seed(0)
    model = cls(**{**cfg, 'drop_path_rate': 0.5, **options})
    model.init_weights()
    return model.train()


def run(model, *inputs):
    """Gradients, and the bytes that autograd was given to keep."""
    kept = 0

    def pack(tensor):
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    torch.manual_seed(1)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outs = model(*inputs)
    sum(out.square().mean() for out in outs).backward()
    return kept, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize('sparse', [True, False])
@pytest.mark.parametrize('case', ENCODERS)
def test_checkpointing_keeps_less_and_changes_nothing(case, sparse):
    """With drop path, so that what is computed again must draw the same numbers."""
    images = torch.randn(2, 3, 128, 128)
    inputs = (images, RandomMasking(0.5)((128, 128), 2, seed=0)) if sparse else (images,)
    kept, expected = run(build(case), *inputs)
    kept_with_cp, got = run(build(case, with_cp=True), *inputs)
    assert kept_with_cp < 0.5 * kept
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, msg=lambda text, n=name: f'{n}: {text}')


@pytest.mark.parametrize('case', ['svt', 'pvt_v2'])
def test_a_checkpointed_encoder_is_copied_whole(case):
    """EMAHook copies the model: the copy must not run the blocks of the original."""
    model = build(case, with_cp=True, drop_path_rate=0.0)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(out.abs().max() > 0 for out in twin(torch.randn(1, 3, 128, 128)))


@pytest.mark.slow
@pytest.mark.parametrize('cls,options,run_block', [
    (GreenSwinTransformer, dict(arch=dict(TINY, depths=[3, 3, 3, 3])), green_swin._run_block),
    (GreenSwinTransformerV2, dict(SWIN_V2, arch=dict(TINY, depths=[3, 3, 3, 3],
                                                     extra_norm_every_n_blocks=0)),
     green_swin_v2._run_block),
])  # fmt: skip
def test_blocks_are_compiled_once_per_stage_whatever_the_rate(cls, options, run_block):
    """Twelve blocks of twelve rates, four masks: four programs."""
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend('eager')
    options = dict(options, window_size=4, drop_path_rate=0.5, compile_blocks=True)
    model = cls(**options).train()
    rates = {path.rate.item() for path in model.modules() if isinstance(path, TensorDropPath)}
    assert len(rates) == 12
    model._compiled_block = torch.compile(run_block, backend=counter)
    for iteration in range(4):
        visible = RandomMasking(0.75)((128, 128), 2, seed=0, iteration=iteration)
        model(torch.randn(2, 3, 128, 128), visible)[-1].sum().backward()
    assert counter.frame_count == 4
    model.eval()
    with torch.no_grad():
        model(torch.randn(5, 3, 128, 128), torch.ones(1, 4, 4, dtype=torch.bool))
    assert counter.frame_count == 4  # whole images of an evaluation run as they are


@pytest.mark.parametrize('rate', [0.0, 0.25, 0.8])
def test_drop_path_of_a_tensor_is_that_of_mmcv(rate):
    from mmcv.cnn.bricks.drop import DropPath

    x = torch.randn(64, 5, 3)
    outs = []
    for path in (DropPath(rate), TensorDropPath(rate)):
        torch.manual_seed(0)
        outs.append(path(x) if rate or isinstance(path, TensorDropPath) else x)
        assert torch.equal(path.eval()(x), x)
    torch.testing.assert_close(*outs)


def test_drop_paths_are_replaced_where_one_has_a_rate():
    model = GreenSwinTransformer(TINY, drop_path_rate=0.0)
    use_tensor_drop_paths(model)
    assert not any(isinstance(module, TensorDropPath) for module in model.modules())
    keys = set(model.state_dict())
    model = GreenSwinTransformer(TINY, drop_path_rate=0.2, compile_blocks=True)
    assert set(model.state_dict()) == keys


@pytest.mark.parametrize('case', ['svt', 'pcpvt', 'pvt', 'pvt_v2', 'convnext'])
def test_compiling_is_refused_where_it_cannot_work(case):
    with pytest.raises(ValueError, match=r'compile_blocks must be False for Green\w+, got True'):
        build(case, compile_blocks=True)

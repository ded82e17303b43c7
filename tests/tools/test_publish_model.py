"""What is published loads where it should, and holds nothing else."""

import hashlib

import pytest
import torch

from greenmim_mm.compat.safe_load import load_checkpoint_file
from greenmim_mm.models import GreenSwinTransformer
from tests.tools.conftest import refusal, run_tool

pytestmark = pytest.mark.slow
TOOL = 'tools/model_converters/publish_model.py'


def test_weights_only(pretrained, tmp_path):
    result = run_tool(TOOL, pretrained.checkpoint, tmp_path / 'new' / 'swin.pth')
    (file,) = (tmp_path / 'new').iterdir()
    assert file.name == f'swin-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth'
    assert str(file) in result.stdout
    published = torch.load(file, weights_only=True)  # nothing but tensors and plain values
    source = load_checkpoint_file(str(pretrained.checkpoint))
    assert set(published) == {'state_dict', 'meta'} and published['meta']['epoch'] == 2
    assert set(published['state_dict']) == set(source['state_dict'])
    assert file.stat().st_size < 0.5 * pretrained.checkpoint.stat().st_size  # no moments of Adam


def test_backbone_starts_a_transfer(pretrained, tmp_path):
    run_tool(TOOL, pretrained.checkpoint, tmp_path / 'swin.pth', '--backbone')
    (file,) = tmp_path.glob('*.pth')
    state = torch.load(file, weights_only=True)['state_dict']
    assert all(key.startswith('backbone.') for key in state)
    init_cfg = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
    arch = dict(embed_dims=16, depths=[2, 2, 4], num_heads=[2, 4, 8])
    model = GreenSwinTransformer(
        arch, img_size=128, window_size=4, out_indices=(2,), init_cfg=init_cfg
    )
    model.init_weights()
    assert all(torch.equal(v, state[f'backbone.{k}']) for k, v in model.state_dict().items())


def test_timm_layout_and_safetensors(pretrained, tmp_path):
    run_tool(TOOL, pretrained.checkpoint, tmp_path / 'swin.pth', '--to', 'timm')
    (file,) = tmp_path.glob('*.pth')
    state = torch.load(file, weights_only=True)['state_dict']
    assert {'layers.2.downsample.reduction.weight', 'norm.weight'} <= set(state)
    safetensors = pytest.importorskip('safetensors.torch')
    run_tool(TOOL, pretrained.checkpoint, tmp_path / 'swin.safetensors', '--to', 'timm')
    (other,) = tmp_path.glob('*.safetensors')
    same = safetensors.load_file(other)
    assert set(same) == set(state) and all(torch.equal(same[k], state[k]) for k in state)


def test_what_cannot_be_published(pretrained, tmp_path):
    torch.save(dict(state_dict={'head.fc.bias': torch.zeros(1)}), tmp_path / 'a.pth')
    torch.save(dict(model={}), tmp_path / 'b.pth')
    for arguments, message in (
        ((pretrained.checkpoint, tmp_path / 'x.bin'), 'must end in .pth or .safetensors'),
        ((tmp_path / 'a.pth', tmp_path / 'x.pth', '--backbone'), 'no backbone.*; its keys start'),
        ((tmp_path / 'b.pth', tmp_path / 'x.pth'), "no state_dict; its keys are ['model']"),
    ):
        assert message in refusal(TOOL, *arguments) and not list(tmp_path.glob('x*'))

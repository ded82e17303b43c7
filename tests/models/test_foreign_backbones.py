"""Backbones of other packages start from every tensor of a checkpoint, or the run ends."""

import pytest
import torch
from mmdet.models import PyramidVisionTransformerV2, ResNet
from mmdet.models import SwinTransformer as DetSwin
from mmpretrain.models import SwinTransformer
from torch import nn

from greenmim_mm.models.utils import check_loaded, check_prefixes, record_loads
from tests.conftest import TINY

SMALL = dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 4), window_size=4)
BACKBONES = {
    'mmpretrain.SwinTransformer': lambda **kw: SwinTransformer(TINY, window_size=4, **kw),
    'mmdet.SwinTransformer': lambda **kw: DetSwin(**SMALL, **kw),
    'mmdet.ResNet': lambda **kw: ResNet(18, base_channels=8, **kw),
    'mmdet.PyramidVisionTransformerV2': lambda **kw: PyramidVisionTransformerV2(
        embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], **kw
    ),
}


class Detector(nn.Module):
    """What a runner initialises."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def init_weights(self):
        self.backbone.init_weights()


def start(backbone, partial=False):
    """As ``StrictRunner`` initialises a model."""
    model = Detector(backbone)
    check_prefixes(model)
    with record_loads() as record:
        model.init_weights()
    check_loaded(model, record, partial)
    return model


def pretrained(path, prefix):
    from mmengine.config import ConfigDict

    return ConfigDict(type='Pretrained', checkpoint=str(path), prefix=prefix)


@pytest.fixture(params=BACKBONES)
def name(request):
    return request.param


def file_of(name, tmp_path, extra=None):
    """A checkpoint as its loader wants it: PVT of MMDetection takes no prefix."""
    source = BACKBONES[name]()
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    prefix = None if 'Pyramid' in name else 'backbone.'
    state_dict = {(prefix or '') + key: value for key, value in source.state_dict().items()}
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict={**state_dict, **(extra or {})}), path)
    return source, pretrained(path, prefix)


def test_everything_is_loaded(name, tmp_path):
    source, init_cfg = file_of(name, tmp_path)
    loaded = start(BACKBONES[name](init_cfg=init_cfg)).backbone.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in source.state_dict().items())


def test_an_unrelated_checkpoint_is_an_error(name, tmp_path):
    torch.save(dict(state_dict={'backbone.a.weight': torch.zeros(1)}), tmp_path / 'a.pth')
    prefix = None if 'Pyramid' in name else 'backbone.'
    backbone = BACKBONES[name](init_cfg=pretrained(tmp_path / 'a.pth', prefix))
    with pytest.raises(ValueError, match=r'a\.pth .*does not fit') as error:
        start(backbone)
    assert 'no key in common' in str(error.value)
    start(BACKBONES[name](init_cfg=pretrained(tmp_path / 'a.pth', prefix)), partial=True)


def test_a_wrong_prefix_is_an_error(name, tmp_path):
    _, init_cfg = file_of(name, tmp_path)
    init_cfg.prefix = 'encoder.'
    if 'mmdet.Swin' in name:  # it takes backbone.*, whatever the config says
        torch.save(dict(state_dict={'encoder.x.weight': torch.zeros(1)}), init_cfg.checkpoint)
    if 'Pyramid' in name:
        pytest.skip('takes all keys, whatever the config says')
    with pytest.raises(ValueError, match='its keys start with'):
        start(BACKBONES[name](init_cfg=init_cfg))


def test_one_tensor_less_is_an_error(name, tmp_path):
    _, init_cfg = file_of(name, tmp_path)
    state_dict = torch.load(init_cfg.checkpoint)['state_dict']
    key = next(key for key in reversed(state_dict) if key.endswith('weight') and 'norm' not in key)
    del state_dict[key]
    torch.save(dict(state_dict=state_dict), init_cfg.checkpoint)
    with pytest.raises(ValueError, match='1 keys of the model are missing in the checkpoint'):
        start(BACKBONES[name](init_cfg=init_cfg))


def test_another_width_is_said_in_words(tmp_path):
    source = SwinTransformer(dict(TINY, embed_dims=32, num_heads=[1, 2, 4, 8]), window_size=4)
    state_dict = {f'backbone.{key}': value for key, value in source.state_dict().items()}
    torch.save(dict(state_dict=state_dict), tmp_path / 'a.pth')
    init_cfg = pretrained(tmp_path / 'a.pth', 'backbone.')
    with pytest.raises(ValueError, match='The checkpoint has width 32, the model 16'):
        start(SwinTransformer(TINY, window_size=4, init_cfg=init_cfg))


def test_a_classifier_beside_the_backbone_is_left_out(tmp_path):
    """As in torchvision's ResNet: ``fc`` is no part of the backbone."""
    extra = {'backbone.fc.weight': torch.zeros(10, 64), 'backbone.fc.bias': torch.zeros(10)}
    _, init_cfg = file_of('mmdet.ResNet', tmp_path, extra)
    start(BACKBONES['mmdet.ResNet'](init_cfg=init_cfg))
    extra = {'backbone.layer5.weight': torch.zeros(10, 64)}
    _, init_cfg = file_of('mmdet.ResNet', tmp_path, extra)
    with pytest.raises(ValueError, match=r'unknown to the model: layer5\.weight'):
        start(BACKBONES['mmdet.ResNet'](init_cfg=init_cfg))

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from greenmim_mm.registry import MODELS
from tests.conftest import TINY
from tests.test_configs import shrink

RATE = 0.5


def scales(model):
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            constructor='greenmim_mm.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=RATE, norm_decay_mult=0.0),
        ),
    )
    groups = wrapper.optimizer.param_groups
    return {g['param_name']: (g['lr'], g['weight_decay']) for g in groups}


@pytest.mark.parametrize('config,new', [
    ('configs/greenmim/swin_b_finetune.py', 'head.fc.weight'),
    ('configs/greenmim/mask_rcnn_swin_b_coco.py', 'rpn_head.rpn_conv.weight'),
])  # fmt: skip
def test_rates_by_depth(config, new):
    """Classifier and detector: stem lowest, one factor per block, everything new at full rate."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    found = scales(MODELS.build(shrink(cfg).model))
    depth = sum(TINY['depths'])  # blocks; the stem is layer 0, what follows is layer depth + 1
    expected = {
        'backbone.patch_embed.projection.weight': RATE ** (depth + 1),
        'backbone.stages.0.blocks.0.attn.w_msa.qkv.weight': RATE**depth,
        'backbone.stages.0.blocks.1.ffn.layers.1.weight': RATE ** (depth - 1),
        'backbone.stages.0.downsample.reduction.weight': RATE ** (depth - 1),
        'backbone.stages.3.blocks.1.attn.w_msa.qkv.weight': RATE,
        'backbone.norm3.weight': 1.0,
        new: 1.0,
    }
    for name, rate in expected.items():
        assert found[name][0] == pytest.approx(rate), name
    assert found['backbone.norm3.weight'][1] == 0
    assert found[new][1] == pytest.approx(0.05)


def test_backbone_without_layers_is_an_error():
    cfg = Config.fromfile('configs/greenmim/mask_rcnn_swin_b_coco.py')
    init_default_scope('mmdet')
    cfg = shrink(cfg)
    cfg.model.backbone = dict(type='mmdet.ResNet', depth=18)
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    with pytest.raises(ValueError, match=r'backbone with get_layer_depth.*got ResNet'):
        scales(MODELS.build(cfg.model))

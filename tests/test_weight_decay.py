"""Weight decay: the decayed parameters of every config are those of its recipe's sentence."""

import re

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.models.utils import GRN, LayerScale
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from greenmim_mm.engine import layer_decay  # noqa: F401 (registers the constructor)
from greenmim_mm.registry import MODELS
from tests.models.test_backbones import CASES
from tests.test_configs import CONFIGS, shrink

NORMS = (nn.LayerNorm, nn.GroupNorm, _BatchNorm, GRN, LayerScale)


def is_norm(model, name, parameter):
    """Norms, and what scales the channels of a branch."""
    owner, _, own = name.rpartition('.')
    scales = own in ('gamma', 'logit_scale')
    return scales or isinstance(model.get_submodule(owner), NORMS)


def is_bias(model, name, parameter):
    return re.search(r'(^|\.|_)bias$', name) is not None


def is_position(model, name, parameter):
    parts = ('pos_embed', 'relative_position_bias_table', 'cpb_mlp')
    return any(part in name for part in parts)


def is_token(model, name, parameter):
    return name.endswith('_token')


# GreenMIM's and SimMIM's (FACTS of the recipes): "0 on bias, norm, relative position bias, tokens"
MIM = (is_norm, is_bias, is_position, is_token)
# MMDetection's and MMSegmentation's for Swin: 0 on norms and positions; biases are decayed
DENSE = (is_norm, is_position)
EVERYTHING = None  # no parameter is exempt


def sentence(stem):
    if 'imagenette' in stem:  # the study's own, as its figures were measured
        return EVERYTHING
    dense = stem.startswith(('mask_rcnn', 'upernet'))
    return DENSE if dense and 'vit_b' not in stem else MIM


def decayed_parameters(model, optim_wrapper):
    optim_wrapper = dict(optim_wrapper, type='OptimWrapper')
    for key in ('loss_scale', 'dtype'):
        optim_wrapper.pop(key, None)
    groups = build_optim_wrapper(model, optim_wrapper).optimizer.param_groups
    decay = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained <= {name for name, p in model.named_parameters() if id(p) in decay}
    return {name for name in trained if decay[id(model.get_parameter(name))]}


def expected_parameters(model, exempt):
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return {
        name for name, p in named if exempt is None or not any(f(model, name, p) for f in exempt)
    }


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_every_config_decays_what_its_recipe_says(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(shrink(cfg).model)
    decayed = decayed_parameters(model, cfg.optim_wrapper)
    if path.stem.endswith('linear'):  # LARS without weight decay
        assert not decayed
    else:
        assert decayed == expected_parameters(model, sentence(path.stem))


MORE = {case: (cls, dict(cfg)) for case, (cls, cfg, _) in CASES.items()}
for case in ('swin', 'swin_v2'):
    MORE[f'{case}_abs'] = (CASES[case][0], dict(CASES[case][1], use_abs_pos_embed=True))


@pytest.mark.parametrize('base', ['greenmim_pretrain', 'greenmim_finetune'])
@pytest.mark.parametrize('case', MORE)
def test_every_encoder_in_the_base_configs(case, base):
    """Encoders and options that no config of ours has yet: Swin V2, GRN, absolute positions."""
    cls, options = MORE[case]
    cfg = Config.fromfile(f'configs/_base_/{base}.py')
    init_default_scope(cfg.default_scope)
    if base == 'greenmim_finetune':
        cfg.optim_wrapper.constructor = 'DefaultOptimWrapperConstructor'
    model = nn.ModuleDict(dict(backbone=cls(**options)))
    assert decayed_parameters(model, cfg.optim_wrapper) == expected_parameters(model, MIM)

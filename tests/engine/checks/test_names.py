"""Misspelt names in a config file; variables of its own pass."""

import pytest
from mmengine.config import Config

from greenmim_mm.engine.checks import check_names
from tests.tools.conftest import ROOT


@pytest.mark.parametrize('text,wrong,right', [
    ('optim_wraper = dict(optimizer=dict(lr=1))', 'optim_wraper', 'optim_wrapper'),
    ('modle = dict(mask_ratio=0.5)', 'modle', 'model'),
    ('custom_hook = []', 'custom_hook', 'custom_hooks'),
    ('train_dataloder = dict(batch_size=2)', 'train_dataloder', 'train_dataloader'),
    ('auto_scale_lr = dict(base_batchsize=2)', 'auto_scale_lr.base_batchsize',
     'auto_scale_lr.base_batch_size'),
    ('env_cfg = dict(cudnn_benchmrak=True)', 'env_cfg.cudnn_benchmrak', 'env_cfg.cudnn_benchmark'),
    ('default_hooks = dict(checkpont=dict(type="CheckpointHook"))', 'default_hooks.checkpont',
     'default_hooks.checkpoint'),
    ('optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mul=0.0))',
     'optim_wrapper.paramwise_cfg.norm_decay_mul', 'optim_wrapper.paramwise_cfg.norm_decay_mult'),
])  # fmt: skip
def test_a_near_miss_is_named(tmp_path, text, wrong, right):
    file = tmp_path / 'mine.py'
    file.write_text(f'_base_ = {str(ROOT / "configs/greenmim/swin_t_pretrain.py")!r}\n{text}\n')
    (finding,) = check_names(Config.fromfile(file))
    assert finding.level == 'error'
    assert finding.message == f'nothing reads {wrong} of the config; did you mean {right}?'


def test_variables_of_the_file_pass():
    names = ('train_pipeline', 'test_pipeline', 'data_root', 'max_epochs', 'norm_cfg', 'models',
             'dataset_type', 'base_lr', 'num_classes', 'train_dataset', 'backbone')  # fmt: skip
    assert check_names(Config({name: {} for name in names})) == []


def test_our_configs_pass():
    for name in ('greenmim/swin_b_pretrain', 'greenmim/swin_b_finetune', 'hvt/hvt_s_1_cifar100',
                 'greenmim/mask_rcnn_swin_b_lsj_coco', 'hpvit/mae_vit_b_pretrain'):  # fmt: skip
        assert check_names(Config.fromfile(ROOT / f'configs/{name}.py')) == [], name

"""Options that reach nothing end a run with the name that was meant; all others pass."""

from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

from greenmim_mm.engine.checks import check_options
from tests.tools.conftest import ROOT

PRETRAIN = 'configs/greenmim/swin_b_pretrain.py'
DETECT = 'configs/greenmim/mask_rcnn_swin_b_coco.py'
FINETUNE = 'configs/greenmim/swin_b_finetune.py'


@cache
def read(config):
    return Config.fromfile(ROOT / config)


def said(config, **options):
    cfg = config if isinstance(config, Config) else read(config)
    return [finding.message for finding in check_options(cfg, options)]


@pytest.mark.parametrize('config,key,meant', [
    (PRETRAIN, 'modle.mask_ratio', 'model.mask_ratio'),
    (PRETRAIN, 'train_cfg.max_epoch', 'train_cfg.max_epochs'),
    (PRETRAIN, 'optim_wraper.optimizer.lr', 'optim_wrapper.optimizer.lr'),
    (PRETRAIN, 'model.backbone.drop_path_rat', 'model.backbone.drop_path_rate'),
    (PRETRAIN, 'model.backbone.stage_cfgs.windw_size', 'model.backbone.stage_cfgs.window_size'),
    (PRETRAIN, 'model.neck.depht', 'model.neck.depth'),
    (PRETRAIN, 'train_dataloader.batchsize', 'train_dataloader.batch_size'),
    (PRETRAIN, 'train_dataloader.dataset.pipeline.1.scal',
     'train_dataloader.dataset.pipeline.1.scale'),
    (PRETRAIN, 'train_dataloader.sampler.shufle', 'train_dataloader.sampler.shuffle'),
    (PRETRAIN, 'optim_wrapper.optimizer.weight_deay', 'optim_wrapper.optimizer.weight_decay'),
    (PRETRAIN, 'optim_wrapper.acumulative_counts', 'optim_wrapper.accumulative_counts'),
    (PRETRAIN, 'optim_wrapper.clip_grad.max_nrom', 'optim_wrapper.clip_grad.max_norm'),
    (PRETRAIN, 'optim_wrapper.paramwise_cfg.norm_decay_mul',
     'optim_wrapper.paramwise_cfg.norm_decay_mult'),
    (FINETUNE, 'optim_wrapper.paramwise_cfg.layer_decay_rat',
     'optim_wrapper.paramwise_cfg.layer_decay_rate'),
    (PRETRAIN, 'param_scheduler.1.ends', 'param_scheduler.1.end'),
    (PRETRAIN, 'randomness.sed', 'randomness.seed'),
    (PRETRAIN, 'env_cfg.cudnn_benchmar', 'env_cfg.cudnn_benchmark'),
    (PRETRAIN, 'auto_scale_lr.base_batchsize', 'auto_scale_lr.base_batch_size'),
    (PRETRAIN, 'default_hooks.checkpont.interval', 'default_hooks.checkpoint.interval'),
    (PRETRAIN, 'default_hooks.checkpoint.max_keep_ckpt', 'default_hooks.checkpoint.max_keep_ckpts'),
    (PRETRAIN, 'default_hooks.logger.intreval', 'default_hooks.logger.interval'),
    (PRETRAIN, 'custom_hooks.2.contry', 'custom_hooks.2.country'),
    (PRETRAIN, 'find_unused_parameter', 'find_unused_parameters'),
    (DETECT, 'model.roi_head.bbox_head.num_class', 'model.roi_head.bbox_head.num_classes'),
    (DETECT, 'model.test_cfg.rcnn.score_th', 'model.test_cfg.rcnn.score_thr'),
    (DETECT, 'model.backbone.frozen_stage', 'model.backbone.frozen_stages'),
    (DETECT, 'val_evaluator.classwis', 'val_evaluator.classwise'),
    (DETECT, 'val_dataloader.dataset.anno_file', 'val_dataloader.dataset.ann_file'),
])  # fmt: skip
def test_a_name_that_nothing_takes_ends_the_run_with_the_nearest(config, key, meant):
    (message,) = said(config, **{key: 1})
    assert message.startswith(f'--cfg-options {key}: ') and message.endswith(
        f'did you mean {meant}?'
    )


@pytest.mark.parametrize('config,key,read_here', [
    (PRETRAIN, 'train_pipeline.0.on_error', 'train_dataloader.dataset.pipeline.0.on_error'),
    (PRETRAIN, 'train_pipeline.1.scale', 'train_dataloader.dataset.pipeline.1.scale'),
    (PRETRAIN, 'data_root', 'train_dataloader.dataset.data_root'),
    (PRETRAIN, 'max_epochs', 'train_cfg.max_epochs, param_scheduler.1.end'),
    (PRETRAIN, 'norm_cfg.eps', 'model.backbone.norm_cfg.eps'),
    (DETECT, 'data_root', 'train_dataloader.dataset.data_root, val_dataloader.dataset.data_root'),
    (DETECT, 'data_root', 'test_dataloader.dataset.data_root, val_evaluator.ann_file'),
    (DETECT, 'test_pipeline.1.scale', 'val_dataloader.dataset.pipeline.1.scale'),
])  # fmt: skip
def test_a_variable_of_the_file_ends_the_run_with_the_key_that_is_read(config, key, read_here):
    (message,) = said(config, **{key: 'x'})
    assert 'which a run does not read' in message and read_here in message
    # what is named does change what the run gets
    named = read_here.split(', ')[0]
    assert said(config, **{named: None}) == []


def test_a_parameter_that_the_hook_does_not_have():
    (message,) = said(PRETRAIN, **{'custom_hooks.2.interval': 5})
    assert 'GreenMonitorHook takes no' in message and 'country' in message and 'energy' in message


@pytest.mark.parametrize('key,message', [
    ('custom_hooks.7.energy', "custom_hooks is a list of 3 entries, numbered from 0; got '7'"),
    ('custom_hooks.energy', "custom_hooks is a list of 3 entries, numbered from 0; got 'energy'"),
    ('model.backbone.arch.embed_dims', "model.backbone.arch is 'base' in the config"),
    ('launcher', 'the option --launcher sets it'),
    ('custom_imports.imports', 'it is read with the config file, before --cfg-options'),
    ('nonsense', "nothing reads 'nonsense'"),
])  # fmt: skip
def test_what_does_not_fit_the_shape_of_the_config(key, message):
    (found,) = said(PRETRAIN, **{key: 1})
    assert message in found


@pytest.mark.parametrize('key,value', [
    ('model.mask_ratio', 'abc'), ('train_dataloader.batch_size', 'large'),
    ('train_cfg.max_epochs', 'ten'), ('model.per_image', 'yes'),
])  # fmt: skip
def test_a_text_for_a_number_is_named(key, value):
    (message,) = said(PRETRAIN, **{key: value})
    assert f'takes a number for {key.split(".")[-1]}, got {value!r}' in message


ADDITIONS = {
    PRETRAIN: [
        'model.backbone.with_cp', 'model.backbone.compile_blocks', 'model.backbone.init_cfg',
        'model.mask_seed', 'model.init_cfg', 'model.backbone.norm_cfg.requires_grad',
        'train_dataloader.sampler.seed', 'train_dataloader.prefetch_factor',
        'train_dataloader.num_batch_per_epoch', 'train_dataloader.timeout',
        'train_dataloader.dataset.max_refetch', 'train_dataloader.dataset.indices',
        'train_dataloader.dataset.pipeline.0.color_type',
        'optim_wrapper.clip_grad.max_norm', 'optim_wrapper.accumulative_counts',
        'optim_wrapper.optimizer.fused', 'optim_wrapper.paramwise_cfg.flat_decay_mult',
        'optim_wrapper.paramwise_cfg.custom_keys.decoder.lr_mult', 'optim_wrapper.constructor',
        'param_scheduler.0.verbose', 'randomness.deterministic', 'env_cfg.cudnn_benchmark',
        'env_cfg.dist_cfg.timeout', 'env_cfg.mp_cfg.mp_start_method',
        'default_hooks.checkpoint.save_best', 'default_hooks.checkpoint.by_epoch',
        'default_hooks.logger.ignore_last', 'default_hooks.timer', 'custom_hooks.2.priority',
        'visualizer.vis_backends.0.type', 'visualizer.vis_backends.0.save_dir',
        'compile', 'find_unused_parameters', 'sync_bn', 'activation_checkpointing', 'resume',
        'load_from', 'experiment_name', 'log_level', 'work_dir', 'model_wrapper_cfg.type',
        'val_cfg', 'optim_wrapper._delete_', 'train_cfg.dynamic_intervals',
    ],
    DETECT: [
        'model.test_cfg.rcnn.score_thr', 'model.train_cfg.rpn.assigner.gpu_assign_thr',
        'model.backbone.frozen_stages', 'model.neck.add_extra_convs',
        'model.roi_head.bbox_head.reg_class_agnostic',
        'model.roi_head.bbox_head.loss_bbox.reduction',
        'model.data_preprocessor.batch_augments', 'train_dataloader.dataset.metainfo.classes',
        'train_dataloader.batch_sampler.drop_last', 'train_dataloader.dataset.filter_cfg.anything',
        'val_evaluator.classwise', 'val_evaluator.proposal_nums',
        'default_hooks.visualization.draw', 'tta_model.type', 'backend_args_of_mine.x',
    ],
}  # fmt: skip


@pytest.mark.parametrize('config', ADDITIONS)
def test_what_a_class_or_the_runner_takes_is_no_mistake(config):
    for key in ADDITIONS[config]:
        messages = said(config, **{key: None})
        assert messages == [] or key == 'backend_args_of_mine.x', messages


def leaves(node, path=()):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, (dict, list, tuple)) and value:
            yield from leaves(value, (*path, str(key)))
        else:
            yield '.'.join((*path, str(key))), value


@pytest.mark.parametrize(
    'path', [PRETRAIN, DETECT, FINETUNE, 'configs/greenmim/mask_rcnn_swin_b_lsj_coco.py',
             'configs/hpvit/mask_rcnn_hpvit_b_coco.py', 'configs/hpvit/mae_vit_b_pretrain.py',
             'configs/hvt/hvt_s_1_cifar100.py', 'configs/studies/swin_demo_photos_pretrain.py'],
    ids=lambda path: Path(path).stem,
)  # fmt: skip
def test_every_key_that_a_run_reads_may_be_set_to_its_own_value(path):
    cfg = read(path)
    tops = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg',
            'val_cfg', 'test_cfg', 'optim_wrapper', 'param_scheduler', 'val_evaluator',
            'default_hooks', 'custom_hooks', 'randomness', 'auto_scale_lr', 'env_cfg',
            'visualizer', 'log_processor', 'data_preprocessor')  # fmt: skip
    options = dict(leaves({key: cfg[key] for key in tops if cfg.get(key) is not None}))
    assert len(options) > 40
    assert said(cfg, **options) == []


def test_a_type_that_an_option_sets_decides_what_is_taken():
    hook = {'custom_hooks.2.type': 'EMAHook', 'custom_hooks.2.momentum': 0.1}
    assert said(PRETRAIN, **hook) == []
    assert 'GreenMonitorHook takes no' in said(PRETRAIN, **{'custom_hooks.2.momentum': 0.1})[0]
    start = {'default_hooks.mine.type': 'EMAHook', 'default_hooks.mine.momentum': 0.1}
    assert said(PRETRAIN, **start) == []
    assert 'a new hook needs a type' in said(PRETRAIN, **{'default_hooks.mine.momentum': 0.1})[0]


def test_a_config_that_imports_code_of_its_own_may_read_any_name():
    cfg = Config(dict(custom_imports=dict(imports=['my_project.hooks']), threshold=3, model={}))
    assert said(cfg, threshold=4) == [] == said(cfg, my_switch=True)
    assert 'did you mean model' in said(cfg, **{'modle.x': 1})[0]

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
    ('train_cfg.max_epochs', 'ten'), ('optim_wrapper.optimizer.lr', '1e-3x'),
])  # fmt: skip
def test_a_text_for_a_number_is_named(key, value):
    (message,) = said(PRETRAIN, **{key: value})
    assert f'takes a number for {key.split(".")[-1]}, got {value!r}' in message


@pytest.mark.parametrize('config,key', [
    (PRETRAIN, 'resume'), (PRETRAIN, 'compile'), (PRETRAIN, 'find_unused_parameters'),
    (PRETRAIN, 'env_cfg.cudnn_benchmark'), (PRETRAIN, 'model.backbone.pad_small_map'),
    (PRETRAIN, 'model.backbone.with_cp'), (PRETRAIN, 'model.per_image'),
    (DETECT, 'train_dataloader.dataset.filter_cfg.filter_empty_gt'),
])  # fmt: skip
def test_a_text_for_a_truth_value_is_named_and_does_not_count_as_true(config, key):
    for value in ('no', 'Off', 'yes'):
        (message,) = said(config, **{key: value})
        assert f'takes True or False for {key.split(".")[-1]}, got {value!r}' in message
    assert said(config, **{key: False}) == []


def test_such_words_may_be_texts():
    names = {'experiment_name': 'on', 'load_from': 'no', 'work_dir': 'off'}
    assert said(PRETRAIN, **names) == []
    loss = {'model.roi_head.bbox_head.loss_bbox.reduction': 'no'}
    assert said(DETECT, **loss) == []
    # the annotation says bool, the class takes a text, too
    vit = Config(dict(model=dict(type='mmpretrain.CAEPretrainViT', bias='qv_bias')))
    assert said(vit, **{'model.bias': 'qv_bias'}) == []


@pytest.mark.parametrize('config,key,meant', [
    (PRETRAIN, 'optimizer.lr', 'optim_wrapper.optimizer.lr'),
    (PRETRAIN, 'lr', 'optim_wrapper.optimizer.lr'),
    (PRETRAIN, 'evaluation.interval', 'train_cfg.val_interval'),
    (PRETRAIN, 'val_interval', 'train_cfg.val_interval'),
    (PRETRAIN, 'model.head.loss_type', 'model.head.loss.type'),
    (PRETRAIN, 'modle.mask_ratoi', 'model.mask_ratio'),
    (PRETRAIN, 'train_pipelin.0.on_error', 'train_dataloader.dataset.pipeline.0.on_error'),
    (PRETRAIN, 'optim_wrapper.paramwise_cfg.custom_keys.x.decay_mul',
     'optim_wrapper.paramwise_cfg.custom_keys.x.decay_mult'),
    (FINETUNE, 'optim_wrapper.paramwise_cfg.decay_rate',
     'optim_wrapper.paramwise_cfg.layer_decay_rate'),
    (FINETUNE, 'model.train_cfg.augments.0.alfa', 'model.train_cfg.augments.0.alpha'),
    (DETECT, 'model.test_cfg.rcnn.mask_thr', 'model.test_cfg.rcnn.mask_thr_binary'),
    (DETECT, 'model.train_cfg.rpn.border', 'model.train_cfg.rpn.allowed_border'),
    (DETECT, 'model.test_cfg.rpn.nms_post', 'model.test_cfg.rpn.nms_pre'),
    (DETECT, 'model.test_cfg.rcnn.nms.iou_thr', 'model.test_cfg.rcnn.nms.iou_threshold'),
    (DETECT, 'train_dataloader.dataset.metainfo.CLASSES',
     'train_dataloader.dataset.metainfo.classes'),
    (DETECT, 'train_dataloader.dataset.metainfo.class',
     'train_dataloader.dataset.metainfo.classes'),
])  # fmt: skip
def test_what_is_proposed_is_read_and_is_what_was_meant(config, key, meant):
    (message,) = said(config, **{key: 1})
    assert message.endswith(f'did you mean {meant}?')
    assert said(config, **{meant: None}) == []


def test_no_dict_is_proposed_for_a_plain_value():
    (message,) = said(PRETRAIN, loss_type='L1')
    assert 'did you mean' not in message


@pytest.mark.parametrize('config,key,words', [
    (PRETRAIN, 'optim_wrapper.paramwise_cfg.decay_rate', 'it takes bias_decay_mult'),
    (PRETRAIN, 'optim_wrapper.paramwise_cfg.decay_mult', 'it belongs below '
     'optim_wrapper.paramwise_cfg.custom_keys.NAME'),
    (PRETRAIN, 'val_evaluator.interval', 'a new one needs val_evaluator.type'),
    (PRETRAIN, 'model.init_cfg.chekpoint', 'a new one needs model.init_cfg.type'),
    (DETECT, 'train_dataloader.dataset.filter_cfg.foo', 'it takes filter_empty_gt, min_size'),
    (PRETRAIN, 'train_cfg.by_epoch', 'train_cfg.type=IterBasedTrainLoop'),
    (PRETRAIN, 'train_cfg.max_iters', 'train_cfg.type=IterBasedTrainLoop'),
])  # fmt: skip
def test_a_name_without_effect_says_what_has_one(config, key, words):
    (message,) = said(config, **{key: 1})
    assert words in message


def test_the_loop_is_the_one_that_the_options_choose():
    loop = {'train_cfg._delete_': True, 'train_cfg.type': 'IterBasedTrainLoop',
            'train_cfg.max_iters': 5}  # fmt: skip
    assert said(PRETRAIN, **loop) == []
    by_epoch = {'train_cfg.by_epoch': False, 'train_cfg.max_iters': 5}
    assert said(FINETUNE, **by_epoch) == []


def test_equal_small_numbers_are_not_taken_for_the_variable():
    cfg = Config(dict(
        max_epochs=2, arch=[2], train_cfg=dict(max_epochs=2), model=dict(num_heads=2, arch=[2]),
        param_scheduler=[dict(type='LinearLR', end=1), dict(type='CosineAnnealingLR', end=2)],
    ))  # fmt: skip
    (message,) = said(cfg, max_epochs=3)
    assert message.endswith('in its place: train_cfg.max_epochs, param_scheduler.1.end')


def test_a_variable_that_was_overridden_names_the_key_of_its_name():
    cfg = Config(dict(data_root='a/', train_dataloader=dict(dataset=dict(data_root='b/'))))
    (message,) = said(cfg, data_root='/x')
    assert message.endswith('in its place: train_dataloader.dataset.data_root')


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
        'val_cfg', 'optim_wrapper._delete_', 'train_cfg.dynamic_intervals', 'partial_load',
    ],
    DETECT: [
        'model.test_cfg.rcnn.score_thr', 'model.train_cfg.rpn.assigner.gpu_assign_thr',
        'model.backbone.frozen_stages', 'model.neck.add_extra_convs',
        'model.roi_head.bbox_head.reg_class_agnostic',
        'model.roi_head.bbox_head.loss_bbox.reduction',
        'model.data_preprocessor.batch_augments', 'train_dataloader.dataset.metainfo.classes',
        'train_dataloader.batch_sampler.drop_last', 'train_dataloader.dataset.filter_cfg.min_size',
        'train_dataloader.dataset.metainfo.dataset_type', 'model.test_cfg.rcnn.nms.max_num',
        'model.test_cfg.rcnn.nms.class_agnostic', 'model.train_cfg.rcnn.mask_size',
        'model.test_cfg.rpn.min_bbox_size', 'model.train_cfg.rpn.sampler.rng',
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

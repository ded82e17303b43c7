"""Every key of the configuration reference, set as the page says and seen where it works."""

import argparse
import json
import shutil
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from greenmim_mm.engine import launch
from greenmim_mm.registry import MODELS
from tests.docs.test_pages import option_tables
from tests.test_configs import VIT, shrink
from tests.tools.conftest import ROOT

PRETRAIN, DETECT, FINETUNE, HPVIT, HVT = (
    'configs/greenmim/swin_b_pretrain.py', 'configs/greenmim/mask_rcnn_swin_b_coco.py',
    'configs/greenmim/swin_b_finetune.py', 'configs/hpvit/mask_rcnn_hpvit_b_coco.py',
    'configs/hvt/hvt_s_1_in1k.py',
)  # fmt: skip


def hook(run, name):
    return next(hook for hook in run.runner.hooks if type(hook).__name__ == name)


def last_block(run):
    return run.model.backbone.stages[-1].blocks[-1]


def rates(run):
    return [group['initial_lr'] for group in run.optim.optimizer.param_groups]


def trained(module):
    return {parameter.requires_grad for parameter in module.parameters()}


# key: value to set, what the built objects then have, and what that is
SET = {
    PRETRAIN: {
        'train_dataloader.dataset.data_root': ('{data}/images', lambda r: len(r.dataset), 8),
        'train_dataloader.dataset.extensions': (
            ['.png'], lambda r: r.dataset.extensions, ('.png',)),
        'train_dataloader.dataset.pipeline.0.value_range': (
            [0, 4095], lambda r: r.steps[0].value_range, (0.0, 4095.0)),
        'train_dataloader.dataset.pipeline.0.max_pixels': (
            5000, lambda r: r.steps[0].max_pixels, 5000),
        'train_dataloader.batch_size': (2, lambda r: r.loader.batch_size, 2),
        'train_dataloader.num_workers': (1, lambda r: r.loader.num_workers, 1),
        'train_dataloader.dataset.pipeline.0.on_error': (
            'raise', lambda r: r.steps[0].on_error, 'raise'),
        'train_dataloader.dataset.pipeline.1.scale': (64, lambda r: r.steps[1].scale, (64, 64)),
        'model.mask_ratio': (0.5, lambda r: r.model.masking.mask_ratio, 0.5),
        'model.per_image': (True, lambda r: len(r.model.masking((64, 64), 3, seed=0)), 3),
        'model.mask_seed': (7, lambda r: r.model.mask_seed, 7),
        'model.backbone.img_size': (
            64, lambda r: tuple(r.model.backbone.patch_embed.init_input_size), (64, 64)),
        'model.backbone.stage_cfgs.window_size': (
            4, lambda r: last_block(r).attn.w_msa.window_size, (4, 4)),
        'model.backbone.drop_path_rate': (
            0.3, lambda r: float(last_block(r).ffn.dropout_layer.rate), pytest.approx(0.3)),
        'model.backbone.with_cp': (True, lambda r: last_block(r).with_cp, True),
        'model.backbone.compile_blocks': (True, lambda r: r.model.backbone.compile_blocks, True),
        'model.neck.depth': (2, lambda r: len(r.model.neck.decoder_blocks), 2),
        'model.neck.embed_dims': (16, lambda r: r.model.neck.decoder_embed.out_features, 16),
        'model.head.norm_pix': (False, lambda r: r.model.head.norm_pix, False),
        'optim_wrapper.type': ('OptimWrapper', lambda r: type(r.optim).__name__, 'OptimWrapper'),
        'optim_wrapper.optimizer.lr': (0.5, lambda r: r.optim.optimizer.defaults['lr'], 0.5),
        'optim_wrapper.optimizer.weight_decay': (
            0.25, lambda r: r.optim.optimizer.defaults['weight_decay'], 0.25),
        'train_cfg.max_epochs': (5, lambda r: r.runner.max_epochs, 5),
        'param_scheduler.0.end': (2, lambda r: r.schedulers[0].end, 2 * 4),  # in steps
        'auto_scale_lr.base_batch_size': (
            8, lambda r: set(rates(r)), {0.5 * 2 / 8}),
        'default_hooks.checkpoint.interval': (3, lambda r: hook(r, 'CheckpointHook').interval, 3),
        'default_hooks.checkpoint.max_keep_ckpts': (
            1, lambda r: hook(r, 'CheckpointHook').max_keep_ckpts, 1),
        'default_hooks.logger.interval': (6, lambda r: hook(r, 'LoggerHook').interval, 6),
        'custom_hooks.2.country': ('FRA', lambda r: hook(r, 'GreenMonitorHook').country, 'FRA'),
        'randomness.seed': (9, lambda r: r.runner.seed, 9),
    },
    DETECT: {
        'model.backbone.init_cfg.checkpoint': (
            '{data}/x.pth', lambda r: r.model.backbone.init_cfg['checkpoint'], '{data}/x.pth'),
        'model.backbone.init_cfg.prefix': (
            'encoder.', lambda r: r.model.backbone.init_cfg['prefix'], 'encoder.'),
        'model.backbone.out_indices': (
            (1, 2, 3), lambda r: hasattr(r.model.backbone, 'norm0'), False),
        'model.backbone.pad_small_map': (False, lambda r: last_block(r).attn.pad_small_map, False),
        'model.backbone.drop_path_rate': (
            0.3, lambda r: last_block(r).ffn.dropout_layer.drop_prob, pytest.approx(0.3)),
        'model.backbone.frozen_stages': (
            1, lambda r: [trained(stage) for stage in r.model.backbone.stages[:3]],
            [{False}, {False}, {True}]),
        'model.roi_head.bbox_head.num_classes': (
            3, lambda r: r.model.roi_head.bbox_head.fc_cls.out_features, 4),  # and the background
        'train_dataloader.batch_size': (3, lambda r: r.loader.batch_sampler.batch_size, 3),
        'train_dataloader.dataset.ann_file': ('few.json', lambda r: len(r.dataset), 3),
        'val_evaluator.ann_file': (
            '{data}/few.json',
            lambda r: len(r.runner.val_loop.evaluator.metrics[0]._coco_api.imgs), 3),
        'optim_wrapper.optimizer.lr': (0.5, lambda r: r.optim.optimizer.defaults['lr'], 0.5),
        'auto_scale_lr.base_batch_size': (
            12, lambda r: set(rates(r)), {0.5 * 3 / 12}),
        'train_cfg.max_epochs': (5, lambda r: r.runner.max_epochs, 5),
        'train_cfg.val_interval': (2, lambda r: r.runner.val_interval, 2),
    },
    FINETUNE: {
        'train_dataloader.dataset.data_root': ('{data}/classes', lambda r: len(r.dataset), 8),
        'model.head.num_classes': (2, lambda r: r.model.head.fc.out_features, 2),
        'model.backbone.drop_path_rate': (
            0.3, lambda r: last_block(r).ffn.dropout_layer.drop_prob, pytest.approx(0.3)),
        'optim_wrapper.optimizer.lr': (0.5, lambda r: r.optim.optimizer.defaults['lr'], 0.5),
        # the head has the full rate, the layer before it 0.5 of it, and so on
        'optim_wrapper.paramwise_cfg.layer_decay_rate': (
            0.5, lambda r: sorted({g['lr_scale'] for g in r.optim.optimizer.param_groups})[-2:],
            [0.5, 1.0]),
        'auto_scale_lr.base_batch_size': (
            8, lambda r: max(rates(r)), 0.5 * 2 / 8),
        'train_cfg.max_epochs': (30, lambda r: r.runner.max_epochs, 30),
    },
    HPVIT: {
        'model.backbone.arch': ('small', lambda r: r.model.embed_dims, 768),
        'model.backbone.depths': ((1, 1, 4, 2), lambda r: r.model.depths, (1, 1, 4, 2)),
        'model.backbone.pool': ('avg', lambda r: sum(p.numel() for p in r.model.pools.parameters()),
                                0),
        'model.backbone.window_size': (7, lambda r: set(r.model.window_sizes), {7, None}),
        'model.backbone.global_attn_indexes': (
            (3, 7), lambda r: [i for i, size in enumerate(r.model.window_sizes) if size is None],
            [3, 7]),
        'model.backbone.relative_position': (
            True, lambda r: any('rel' in name for name, _ in r.model.named_parameters()), True),
    },
    HVT: {
        'model.backbone.arch': ('ti_1', lambda r: r.model.embed_dims, 192),
        'model.backbone.pool': ('2d', lambda r: r.model.pool_type, '2d'),
        'custom_hooks.2.momentum': (0.1, lambda r: r.cfg.custom_hooks[2].momentum, 0.1),
    },
}  # fmt: skip
TOGETHER = {  # what the page says belongs to one of the keys, and what the small data needs
    PRETRAIN: {'param_scheduler.1.begin': 2, 'param_scheduler.1.end': 5},
    DETECT: {
        'model.roi_head.mask_head.num_classes': 3, 'param_scheduler.1.end': 5,
        'val_dataloader.dataset.ann_file': 'few.json',
        **{f'{part}_dataloader.dataset.{key}': value for part in ('train', 'val')
           for key, value in (('data_root', '{data}'), ('data_prefix.img', 'images'),
                              ('metainfo.classes', ['a', 'b', 'c']))},
    },
    FINETUNE: {
        'data_preprocessor.num_classes': 2, 'train_dataloader.batch_size': 2,
        **{f'{part}_dataloader.dataset.metainfo.classes': ['a', 'b'] for part in ('train', 'val')},
        'val_dataloader.dataset.data_root': '{data}/classes',
    },
    HPVIT: {'model.backbone.arch.num_layers': 8}, HVT: {},
}  # fmt: skip
SMALL = {'train_dataloader.num_workers': 0, 'val_dataloader.num_workers': 0}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Eight images: in one folder, in two classes, and three of them annotated."""
    folder = tmp_path_factory.mktemp('data')
    (folder / 'images').mkdir()
    for i in range(8):
        image = Image.fromarray(np.full((64, 64, 3), 20 * i, np.uint8))
        image.save(folder / f'images/{i}.png')
        for split in ('train', 'val'):
            target = folder / f'classes/{split}/{"ab"[i % 2]}'
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / f'images/{i}.png', target)
    box = dict(bbox=[8, 8, 40, 40], area=1600, iscrowd=0, segmentation=[[8, 8, 48, 8, 48, 48]])
    few = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=64, height=64) for i in range(1, 4)],
        annotations=[dict(id=i, image_id=i, category_id=i, **box) for i in range(1, 4)],
        categories=[dict(id=i, name='abc'[i - 1]) for i in range(1, 4)],
    )
    (folder / 'few.json').write_text(json.dumps(few))
    (folder / 'x.pth').write_bytes(b'')  # nothing reads it here
    return folder


def filled(value, data):
    return value.format(data=data) if isinstance(value, str) else value


def test_every_key_of_the_page_is_in_the_table():
    rows = {}
    for config, option, _ in option_tables():
        rows.setdefault(config, set()).add(option)
    assert rows == {config: set(table) for config, table in SET.items()}


@pytest.mark.parametrize('config', [PRETRAIN, DETECT, FINETUNE])
def test_keys_of_a_run_arrive(config, data, tmp_path):
    cfg = Config.fromfile(ROOT / config)
    start = cfg.model.backbone.init_cfg
    shrink(cfg)
    if config == DETECT:
        cfg.model.backbone.init_cfg = start
        cfg.model.roi_head.bbox_head.fc_out_channels = 32
    cfg.dump(tmp_path / 'small.py')
    options = {key: filled(value, data) for key, (value, _, _) in SET[config].items()}
    more = {key: filled(value, data) for key, value in TOGETHER[config].items()}
    small = {key: value for key, value in SMALL.items() if key.split('.')[0] in cfg}
    arguments = argparse.Namespace(
        config=str(tmp_path / 'small.py'), launcher='none', partial=False,
        work_dir=str(tmp_path / 'run'),
        cfg_options={**small, **more, **options, 'experiment_name': str(uuid4()),
                     'auto_scale_lr.enable': True}, local_rank=0,
    )  # fmt: skip
    cfg = launch.load_config(arguments)
    launch.set_dataloader_defaults(cfg)
    runner = launch.build_runner(cfg, ('train_dataloader',))
    loader = runner.train_loop.dataloader
    optim = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper = optim
    runner.scale_lr(optim, runner.auto_scale_lr)
    run = SimpleNamespace(
        runner=runner, model=runner.model, loader=loader, dataset=loader.dataset, optim=optim,
        steps=loader.dataset.pipeline.transforms,
        schedulers=runner.build_param_scheduler(runner.param_schedulers),
    )  # fmt: skip
    for key, (_, observed, expected) in SET[config].items():
        assert observed(run) == filled(expected, data), key


@pytest.mark.parametrize('config', [HPVIT, HVT])
def test_keys_of_other_encoders_arrive(config, tmp_path):
    cfg = Config.fromfile(ROOT / config)
    init_default_scope(cfg.default_scope)
    for key, (value, observed, expected) in SET[config].items():
        options = {key: value, 'model.backbone.init_cfg': None}
        if key == 'model.backbone.depths':  # eight blocks instead of twelve
            cfg.model.backbone.arch = dict(VIT, num_layers=8)
            cfg.dump(tmp_path / 'deep.py')
        file = tmp_path / 'deep.py' if 'depths' in key else ROOT / config
        arguments = argparse.Namespace(
            config=str(file), launcher='none', partial=False, work_dir=None,
            cfg_options=options, local_rank=0,
        )  # fmt: skip
        set_to = launch.load_config(arguments)
        model = MODELS.build(set_to.model.backbone)
        assert observed(SimpleNamespace(model=model, cfg=set_to)) == expected, key

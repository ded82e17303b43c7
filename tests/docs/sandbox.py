"""A folder that looks like a clone with data in it, in which everything is small.

The package and the tools are copies, the configs keep their names and lose their size, and every
data set and file that the documentation speaks of is there.
"""

import json
import re
import shutil
from pathlib import Path

import torch
from mmengine.config import Config

from tests.converters.test_converters import random_weights, timm_vit
from tests.test_configs import VIT, shrink
from tests.tools.conftest import ROOT

SIZE = 96  # pixels
SPLITS = dict(train=8, val=4)


def link_coco(toy: Path, folder: Path, classes, annotations: str, images: str) -> None:
    """The drawn set in another layout, its categories under other names."""
    for split in SPLITS:
        target = folder / images.format(split)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(toy / split)
        data = json.loads((toy / f'annotations/instances_{split}.json').read_text())
        number = len(classes)
        data['categories'] = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
        data['annotations'] = [a for a in data['annotations'] if a['category_id'] <= number]
        file = folder / annotations.format(split)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(data))


def make_data(toy: Path, clone: Path) -> None:
    from mmdet.datasets import CocoDataset

    link_coco(toy, clone / 'your/data', ('screw', 'nut'), 'annotations/{}.json', '{}')
    link_coco(toy, clone / 'data/coco', CocoDataset.METAINFO['classes'],
              'annotations/instances_{}2017.json', '{}2017')  # fmt: skip
    stamps = Config.fromfile(ROOT / 'configs/studies/mask_rcnn_swin_demo_stamps.py').classes
    link_coco(toy, clone / 'data/stamps_coco', stamps, 'annotations/instances_{}.json', '{}')
    for name, classes in (('imagenet', 1000), ('imagenette', 10)):
        for split in SPLITS:
            files = sorted((toy / split).iterdir())
            for label in range(classes):
                target = clone / 'data' / name / split / f'n{label:04d}'
                target.mkdir(parents=True)
                if label < len(files):
                    (target / files[label].name).symlink_to(files[label])
    (clone / 'your/images').symlink_to(toy / 'unlabelled')
    (clone / 'image.jpg').symlink_to(next((toy / 'val').iterdir()))


def small_steps(step: dict) -> None:
    """Pipelines of detection, at the size of the drawn images."""
    for key in ('scale', 'scales', 'crop_size'):
        if key in step:
            step[key] = [(SIZE, SIZE)] if key == 'scales' else (SIZE, SIZE)
    for part in step.get('transforms', []):
        for inner in part if isinstance(part, list) else [part]:
            small_steps(inner)


def make_config(path: Path) -> Config:
    """A config of the repository: a tiny encoder, few images, one epoch."""
    cfg = Config.fromfile(path)
    start = cfg.model.backbone.get('init_cfg')
    if 'HVT' not in cfg.model.backbone.type:  # its converter knows the released sizes only
        shrink(cfg)
    if cfg.model.backbone.get('arch') == dict(VIT, pool_after=()):
        cfg.model.backbone.arch.feedforward_channels = 4 * VIT['embed_dims']
    cfg.model.backbone.init_cfg = start
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        if loader:
            batch_size = 2 if cfg.model.type == 'MaskRCNN' else 4  # two steps with two processes
            loader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
            loader.dataset.pop('indices', None)
            for step in loader.dataset.get('pipeline', []) if cfg.model.type == 'MaskRCNN' else ():
                small_steps(step)
    if cfg.model.type == 'MaskRCNN':
        cfg.model.train_cfg.rpn_proposal.max_per_img = cfg.model.test_cfg.rpn.max_per_img = 50
        cfg.model.train_cfg.rcnn.sampler.num = 16
        cfg.model.test_cfg.rcnn.max_per_img = 10
        cfg.model.roi_head.bbox_head.fc_out_channels = 32  # 14 of 20 million weights
        cfg.model.roi_head.mask_head.conv_out_channels = 16
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    if 'type' in cfg.train_cfg and 'pretrain' in path.stem:
        del cfg.train_cfg['val_interval']
    cfg.param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=True)]
    cfg.default_hooks.logger.interval = cfg.default_hooks.checkpoint.interval = 1
    for hook in cfg.custom_hooks:
        if hook['type'] == 'greenmim_mm.KNNHook':
            hook['k'] = 2
    return cfg


def make_checkpoints(clone: Path) -> None:
    """Released files that are downloaded elsewhere."""
    mae = timm_vit(depth=VIT['num_layers'], width=VIT['embed_dims'])
    torch.save(dict(model=mae), clone / 'mae_pretrain_vit_base.pth')
    hvt = timm_vit(depth=12, width=384, extra=0, position=False)
    hvt['pos_embed'] = torch.zeros(1, 196, 384)
    hvt['blocks.0.pos_embed'] = torch.zeros(1, 97, 384)
    hvt |= random_weights(head__weight=(1000, 384), head__bias=(1000,))
    torch.save(dict(model=hvt), clone / 'hvt_s_1.pth')


def make_clone(toy: Path, clone: Path, text: str) -> None:
    """What the commands of a page need.

    Args:
        toy (Path): Output of ``make_toy_coco.py``.
        clone (Path): Folder to fill.
        text (str): The page: the configs that it names are made small.
    """
    for name in ('greenmim_mm', 'tools', 'configs', 'requirements'):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('Makefile', 'README.md'):
        shutil.copy(ROOT / name, clone)
    make_data(toy, clone)
    if '_base.pth' in text or 'hvt_s_1.pth' in text:
        make_checkpoints(clone)
    # the default target of vit_to_hpvit.py, and what is named
    names = {*re.findall(r'configs/\w+/\w+\.py', text), 'configs/hpvit/mask_rcnn_hpvit_b_coco.py'}
    for name in sorted(name for name in names if '/_' not in name):
        make_config(ROOT / name).dump(clone / name)

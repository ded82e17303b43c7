"""Every config parses, builds at reduced size and computes a loss."""

from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import is_installed

from greenmim_mm.compat.mmseg_name import find_mmseg_by_module
from greenmim_mm.engine.launch import replace_sync_batch_norm
from greenmim_mm.models import HVT
from greenmim_mm.registry import MODELS
from tests.conftest import TINY
from tests.models.test_backbones import CONVNEXT, PVT, SVT, TWINS

CONFIGS = [
    path
    for path in sorted(Path('configs').glob('[!_]*/*.py'))
    if is_installed('mmseg') or not path.stem.startswith('upernet')
]
FROM_SCRATCH = ('_in1k', '_cifar100')  # endings of configs that train without a checkpoint
VIT = dict(embed_dims=16, num_layers=12, num_heads=2, feedforward_channels=32)

find_mmseg_by_module()


def shrink(cfg):
    """The same config with a tiny encoder, small heads and no checkpoint to load."""
    model = cfg.model
    backbone = model.backbone
    kind = backbone.type.split('.')[-1]
    if kind == 'GreenSwinTransformer':
        if isinstance(backbone.arch, str):  # the demo's own is small enough
            backbone.arch = TINY
        widths = [backbone.arch['embed_dims'] * 2**i for i in range(len(backbone.arch['depths']))]
    elif kind in ('GreenSVT', 'GreenPCPVT'):
        backbone.arch = SVT if kind == 'GreenSVT' else TWINS
        widths = TWINS['embed_dims']
    elif kind in ('HPViT', 'HVT', 'MAEViT'):
        arch = backbone.arch
        backbone.arch = dict(
            VIT, pool_after=HVT.arch_zoo[arch]['pool_after'] if kind == 'HVT' else ()
        )
        widths = [VIT['embed_dims']] * len(backbone.get('out_indices', [0]))
    elif kind == 'GreenConvNeXt':
        backbone.arch = CONVNEXT['arch']
        widths = CONVNEXT['arch']['channels']
    else:
        backbone.update(PVT)
        widths = [PVT['embed_dims'] * heads for heads in PVT['num_heads']]
    if 'drop_path_rate' in backbone:
        backbone.drop_path_rate = 0.0  # a dropped path has no gradient
    backbone.init_cfg = None
    if model.type == 'greenmim_mm.GreenMIM':
        model.neck.update(in_channels=widths[-1], embed_dims=32, num_heads=4)
    elif model.type == 'MAE':
        model.neck.update(
            embed_dim=widths[-1], decoder_embed_dim=16, decoder_depth=1, decoder_num_heads=2
        )
    elif model.type == 'ImageClassifier':
        model.head.in_channels = widths[-1]
        if isinstance(model.neck, list):
            model.neck[-1].input_features = widths[-1]
    elif model.type == 'EncoderDecoder':
        model.decode_head.update(in_channels=widths, channels=16)
        model.auxiliary_head.update(in_channels=widths[2], channels=16)
    else:
        model.neck.in_channels = widths
    replace_sync_batch_norm(model)
    return cfg


def segmentation_sample(size):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 19, (1, *size)))
    return sample


def detection_sample(size):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    masks = torch.zeros(1, *size)
    masks[0, 10:60, 20:90] = 1
    sample = DetDataSample(
        metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0))
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 10, 90, 60]]),
        labels=torch.tensor([1]),
        masks=BitmapMasks(masks.numpy().astype('uint8'), *size),
    )
    return sample


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_builds_and_computes_a_loss(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    full = cfg.model.backbone.get('img_size', 224)
    model = MODELS.build(shrink(cfg).model)
    if cfg.model.type == 'greenmim_mm.GreenMIM':
        losses = model.loss(torch.randn(2, 3, full, full))
    elif cfg.model.type == 'MAE':
        losses = model.loss(torch.randn(2, 3, full, full), [])
    elif cfg.model.type == 'EncoderDecoder':
        size = (128, 160)
        losses = model.loss(torch.randn(2, 3, *size), [segmentation_sample(size)] * 2)
    elif cfg.model.type == 'ImageClassifier':
        from mmpretrain.structures import DataSample

        samples = [DataSample().set_gt_label(i) for i in range(2)]
        losses = model.loss(torch.randn(2, 3, full, full), samples)
    else:
        size = (96, 160)
        losses = model.loss(torch.randn(1, 3, *size), [detection_sample(size)])
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    for name, parameter in model.backbone.named_parameters():
        if not parameter.requires_grad:  # MAE's fixed positions, frozen stages
            continue
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_schedule_fits_the_number_of_epochs(path):
    cfg = Config.fromfile(path)
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
    schedules = [
        s for s in cfg.param_scheduler if s.get('by_epoch', True) == ('max_epochs' in cfg.train_cfg)
    ]
    # MMPretrain's own give the number of epochs of the cosine instead of its end
    assert max(s.get('end') or s.get('begin', 0) + s.get('T_max', 0) for s in schedules) == length
    for schedule in schedules:
        assert all(m < length for m in schedule.get('milestones', []))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_data_pipelines_build(path):
    from mmengine.dataset import Compose

    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    for loader in ('train_dataloader', 'val_dataloader'):
        assert '_scope_' not in (cfg.get(loader) or {}).get('collate_fn', {})
        dataset = (cfg.get(loader) or {}).get('dataset')
        while dataset is not None:
            Compose(dataset.get('pipeline', []))
            dataset = dataset.get('dataset')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_header_and_checkpoint(path):
    """What, which row, learning rate, command, expectation; one checkpoint, with its prefix."""
    header = [line for line in path.read_text().splitlines() if line.startswith('#')]
    for word in ('Follows:', 'Learning rate:', 'Run:', 'Expected:'):
        assert any(word in line for line in header), word
    cfg = Config.fromfile(path)
    if path.stem.endswith(FROM_SCRATCH):
        assert cfg.model.backbone.get('init_cfg') is None
    elif not path.stem.endswith('pretrain'):
        init_cfg = cfg.model.backbone.init_cfg
        assert init_cfg.type == 'Pretrained' and init_cfg.prefix == 'backbone.'
        source = Path(init_cfg.checkpoint).parent.name
        pretrain = Config.fromfile(path.with_name(f'{source}.py'.replace('_2d', '')))
        ours, theirs = cfg.model.backbone, pretrain.model.backbone
        if theirs.type == 'MAEViT':  # of the same blocks
            assert ours.type == 'greenmim_mm.HPViT' and ours.arch[0] == theirs.arch[0]
        else:
            for key in ('type', 'arch', 'embed_dims', 'num_layers', 'qkv_bias'):
                assert ours.get(key) == theirs.get(key), key
        assert f'epoch_{pretrain.train_cfg.max_epochs}.pth' in init_cfg.checkpoint


def test_learning_rates_of_the_papers():
    rates = {
        'swin_b_pretrain': 1e-4 * 2048 / 256,
        'swin_b_w14_pretrain': 1.5e-4 * 2048 / 256,
        'swin_l_w14_pretrain': 1e-4 * 2048 / 256,
        'twins_svt_l_pretrain': 1.5e-4 * 4096 / 256,
        'swin_b_finetune': 1.25e-3 * 1024 / 512,
        'swin_l_w14_finetune': 1e-3 * 768 / 512,
        'mask_rcnn_swin_b_coco': 1e-4,
        'mask_rcnn_swin_b_lsj_coco': 6e-5,
    }
    rates |= {'mae_vit_b_pretrain': 1.5e-4 * 4096 / 256, 'hpvit_b_finetune': 5e-4 * 1024 / 256,
              'hvt_s_1_in1k': 5e-4 * 1024 / 512}  # fmt: skip
    files = {path.stem: path for path in CONFIGS}
    for name, rate in rates.items():
        cfg = Config.fromfile(files[name])
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(rate), name
    large = Config.fromfile('configs/greenmim/swin_l_w14_finetune.py')
    assert large.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.8
    assert large.model.backbone.drop_path_rate == 0.3


def test_names_are_unique_and_listed():
    """``mim train`` finds configs by basename; the metafile and the README name each."""
    names = [path.stem for path in CONFIGS]
    assert len(set(names)) == len(names)
    index = yaml.safe_load(Path('model-index.yml').read_text())
    assert {Path(entry).parent for entry in index['Import']} == {path.parent for path in CONFIGS}
    for entry in index['Import']:
        folder = Path(entry).parent
        listed = {m['Config'] for m in yaml.safe_load(Path(entry).read_text())['Models']}
        assert listed == {str(p) for p in CONFIGS if p.parent == folder}
        readme = (folder / 'README.md').read_text()
        assert all(Path(path).name in readme for path in listed)

"""A step and an evaluation of the UPerNet configs on synthetic images in the layout of ADE20K."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.tools.conftest import ROOT, run_tool

pytest.importorskip('mmseg')
pytestmark = pytest.mark.slow
SMALL = dict(
    swin="arch=dict(_delete_=True, embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8])",
    hpvit='arch=dict(_delete_=True, embed_dims=16, num_layers=5, num_heads=2, '
    'feedforward_channels=32), depths=(1, 1, 1, 2)',
)  # fmt: skip
CONFIGS = dict(
    swin='configs/greenmim/upernet_swin_b_ade20k.py',
    hpvit='configs/hpvit/upernet_hpvit_b_ade20k.py',
)
CHANNELS = dict(swin=[16, 32, 64, 128], hpvit=[16] * 4)


@pytest.fixture(scope='module')
def ade20k(tmp_path_factory):
    """Four training and two validation images; labels 0 (nothing) to 150."""
    root, random = tmp_path_factory.mktemp('ade'), np.random.default_rng(0)
    for split, number in (('training', 4), ('validation', 2)):
        for kind in ('images', 'annotations'):
            (root / kind / split).mkdir(parents=True)
        for i in range(number):
            label = random.integers(0, 151, (6, 8)).astype('uint8').repeat(16, 0).repeat(16, 1)
            image = np.stack([label, 255 - label, label // 2], -1)
            Image.fromarray(image).save(root / 'images' / split / f'{i}.jpg')
            Image.fromarray(label).save(root / 'annotations' / split / f'{i}.png')
    return root


@pytest.mark.parametrize('encoder', CONFIGS)
def test_a_step_and_an_evaluation(encoder, ade20k, tmp_path):
    config = tmp_path / f'{encoder}.py'
    config.write_text(f"""
_base_ = '{ROOT / CONFIGS[encoder]}'
crop = (64, 96)
model = dict(
    data_preprocessor=dict(size=crop),
    backbone=dict({SMALL[encoder]}, img_size=64, init_cfg=None),
    decode_head=dict(in_channels={CHANNELS[encoder]}, channels=16),
    auxiliary_head=dict(in_channels={CHANNELS[encoder][2]}, channels=16),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2]['scale'] = (128, 96)
train_pipeline[3]['crop_size'] = crop
test_pipeline = _base_.test_pipeline
test_pipeline[1]['scale'] = (128, 96)
train_dataloader = dict(num_workers=0, dataset=dict(data_root='{ade20k}', pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, dataset=dict(data_root='{ade20k}', pipeline=test_pipeline))
train_cfg = dict(max_iters=1, val_interval=1)
default_hooks = dict(logger=dict(interval=1))
""")
    result = run_tool('tools/train.py', config, '--work-dir', tmp_path / 'run')
    assert 'SyncBN of the config is BN' in result.log
    (file,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert np.isfinite(lines[0]['loss']) and lines[0]['decode.loss_ce'] > 0
    assert 0 <= lines[-1]['mIoU'] <= 100


def test_the_missing_package_is_named():
    script = (
        'import runpy, sys; import mmengine.config.config as c; '
        'c.is_installed = lambda name: False; '
        f'sys.argv = ["train.py", "{CONFIGS["swin"]}"]; '
        'runpy.run_path("tools/train.py", run_name="__main__")'
    )
    result = run_tool('-c', script, check=False)
    assert 'needs MMSegmentation: pip install onedl-mmsegmentation' in result.log
    assert 'Traceback' not in result.log

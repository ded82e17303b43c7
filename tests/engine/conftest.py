"""Runs of a few steps in the tests' own process, where imports are paid for once."""

from itertools import count

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from greenmim_mm.engine import launch
from tests.tools.conftest import PRETRAIN, ROOT

NUMBER = count()


@pytest.fixture(scope='session')
def photos(tmp_path_factory):
    """Sixteen pictures of noise."""
    folder = tmp_path_factory.mktemp('photos')
    generator = np.random.default_rng(0)
    for number in range(16):
        pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{number:02d}.png')
    return folder


@pytest.fixture
def small_run(photos):
    """Builds the runner of a tiny pre-training: 16 images in steps of 4, two epochs."""

    def build(work_dir, **options):
        cfg = Config.fromfile(ROOT / PRETRAIN)
        cfg.work_dir = str(work_dir)
        cfg.launcher = 'none'
        cfg.experiment_name = f'run_{next(NUMBER)}'  # mmengine's names have seconds only
        cfg.merge_from_dict({
            'train_dataloader.dataset.data_root': str(photos),
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.dataset.pipeline.1.scale': 32,
            'model.backbone.img_size': 32,
            'model.backbone.arch.embed_dims': 8,
            'model.neck.in_channels': 32,
            'model.neck.embed_dims': 16,
            'model.neck.num_heads': 2,
            'train_cfg.max_epochs': 2,
            'param_scheduler.1.end': 2,
            'default_hooks.logger.interval': 1,
            **options,
        })  # fmt: skip
        if cfg.pop('auto_resume', False):
            launch.resolve_resume(cfg)
        return launch.build_runner(cfg, ('train_dataloader',))

    return build

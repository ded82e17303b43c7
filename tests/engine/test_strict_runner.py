"""A run never trains or evaluates with weights that were not loaded."""

import pytest
import torch
from mmengine.config import Config

from greenmim_mm.compat.safe_load import load_checkpoint_file
from greenmim_mm.engine import launch
from tests.tools.conftest import DETECT, PRETRAIN, ROOT, refusal


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('weights')


@pytest.fixture
def checkpoint(folder, small_run):
    """A checkpoint of pre-training, of width 8."""
    if not (folder / 'epoch_1.pth').exists():
        small_run(folder, **{'train_cfg.max_epochs': 1, 'param_scheduler': None}).train()
    return folder / 'epoch_1.pth'


def test_load_from_takes_every_tensor(checkpoint, small_run, tmp_path):
    runner = small_run(tmp_path, load_from=str(checkpoint))
    runner.load_or_resume()
    saved = load_checkpoint_file(str(checkpoint))['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in runner.model.state_dict().items())


@pytest.mark.parametrize('change,words', [
    (dict(drop='backbone.norm2.weight'), '1 keys of the model are missing in the checkpoint: back'),
    (dict(add='head.fc.weight'), 'unknown to the model: head.fc.weight'),
    (dict(options={'model.backbone.arch.embed_dims': 16, 'model.neck.in_channels': 64}),
     'The checkpoint has width 8, the model 16: another config?'),
    (dict(options={'model.backbone.arch.depths': [2, 2, 2]}), 'has 2-2-4 blocks, the model 2-2-2'),
])  # fmt: skip
def test_load_from_is_strict_and_partial_by_a_switch(
    checkpoint, small_run, tmp_path, change, words
):
    saved = load_checkpoint_file(str(checkpoint))
    if 'drop' in change:
        del saved['state_dict'][change['drop']]
    if 'add' in change:
        saved['state_dict'][change['add']] = torch.zeros(2)
    path = tmp_path / 'changed.pth'
    torch.save(saved, path)
    options = dict(change.get('options', {}), load_from=str(path))
    with pytest.raises(ValueError, match='does not fit the config') as error:
        small_run(tmp_path / 'run', **options).train()
    assert words in str(error.value) and '--partial' in str(error.value)
    runner = small_run(tmp_path / 'partial', partial_load=True, **options)
    runner.load_or_resume()
    own = runner.model.state_dict()
    key = 'neck.mask_token'
    assert torch.equal(own[key], saved['state_dict'][key])


def test_window_tables_are_resized_for_load_from(checkpoint, small_run, tmp_path):
    options = {'model.backbone.stage_cfgs.window_size': 3, 'load_from': str(checkpoint)}
    runner = small_run(tmp_path, **options)
    runner.load_or_resume()
    key = 'backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table'
    assert runner.model.state_dict()[key].shape[0] == 25


def test_a_detector_is_not_evaluated_with_weights_of_pre_training(checkpoint, tmp_path):
    """It had exit status 0 and AP 0.000."""
    cfg = Config.fromfile(ROOT / DETECT)
    cfg.model.backbone.arch.embed_dims = 8
    cfg.model.neck.in_channels = [8, 16, 32]
    cfg.load_from, cfg.work_dir, cfg.launcher = str(checkpoint), str(tmp_path), 'none'
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    runner = launch.build_runner(cfg, ())
    with pytest.raises(ValueError) as error:
        runner.load_or_resume()
    words, *keys = str(error.value).splitlines()
    assert 'The checkpoint has no rpn_head.*, roi_head.*.' in words
    assert 'It has neck.' in words or 'It is a checkpoint of pre-training' in words
    assert sum(line.count(', ') for line in keys) <= 14  # ten keys, not three hundred


def test_missing_files_are_named_before_anything_is_built(tmp_path):
    said = refusal('tools/train.py', PRETRAIN, '--resume', tmp_path / 'gone.pth')
    assert f'checkpoint not found: {tmp_path}/gone.pth' in said
    said = refusal('tools/train.py', DETECT, '--cfg-options',
                   'model.neck.init_cfg.type=Pretrained',
                   'model.neck.init_cfg.checkpoint=neck.pth')  # fmt: skip
    assert 'neck.pth (model.neck.init_cfg.checkpoint)' in said
    assert '--cfg-options model.neck.init_cfg=None' in said


def test_pretrained_changes_the_file_only():
    cfg = Config(dict(model=dict(backbone=dict(init_cfg=[
        dict(type='Xavier', layer='Linear'),
        dict(type='Pretrained', checkpoint='old.pth', prefix='encoder.'),
    ]))))  # fmt: skip
    launch.start_backbone_from(cfg, 'new.pth')
    assert cfg.model.backbone.init_cfg == [
        dict(type='Xavier', layer='Linear'),
        dict(type='Pretrained', checkpoint='new.pth', prefix='encoder.'),
    ]
    cfg = Config(dict(model=dict(backbone=dict(init_cfg=dict(type='Xavier', layer='Linear')))))
    launch.start_backbone_from(cfg, 'new.pth')
    assert cfg.model.backbone.init_cfg[1] == dict(
        type='Pretrained', checkpoint='new.pth', prefix='backbone.'
    )
    with pytest.raises(ValueError, match=r'--pretrained needs model\.backbone'):
        launch.start_backbone_from(Config(dict(model=dict(type='X'))), 'new.pth')

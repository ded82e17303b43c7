"""From unlabelled images to COCO AP through the commands, at toy size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from greenmim_mm.compat.safe_load import load_checkpoint_file
from tests.tools.conftest import (
    DETECT,
    PRETRAIN,
    ROOT,
    detect_options,
    environment,
    run_tool,
    scalars,
)

pytestmark = pytest.mark.slow


def test_pretrain_leaves_losses_and_checkpoints(pretrained):
    losses = scalars(pretrained.work_dir)
    assert sorted(losses) == list(range(1, 9))
    assert all(0.2 < loss < 3 for loss in losses.values())
    state = load_checkpoint_file(str(pretrained.checkpoint))['state_dict']
    assert any(key.startswith('backbone.stages.2') for key in state)
    assert 'Could not import OneDL' not in pretrained.log


def test_another_batch_than_the_recipe_is_said_once_at_the_start(pretrained):
    said = [line for line in pretrained.log.splitlines() if '--auto-scale-lr' in line]
    assert len(said) == 1 and said[0].startswith('[greenmim_mm] warning: this run trains with')
    for word in ('batch of 4 ', 'batch of 32 ', 'rate 0.002,', 'sets it to 0.00025.'):
        assert word in said[0]


@pytest.fixture(scope='module')
def detector(toy, pretrained, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('detector')
    result = run_tool('tools/train.py', DETECT, '--work-dir', work_dir, '--pretrained',
                      pretrained.checkpoint, *detect_options(toy))  # fmt: skip
    return work_dir, result.log


def test_transfer_loads_every_tensor_and_evaluates(detector, pretrained):
    work_dir, log = detector
    source = load_checkpoint_file(str(pretrained.checkpoint))['state_dict']
    expected = sum(key.startswith('backbone.') for key in source)
    assert f'loaded {expected} of {expected + 4} tensors' in log  # norm0 and norm1 are new
    for metric in ('coco/bbox_mAP', 'coco/segm_mAP'):
        assert 0 <= scalars(work_dir, metric)[1] <= 1
    # it started from the pre-trained weights: two steps at a small rate leave them close
    after = load_checkpoint_file(str(work_dir / 'epoch_1.pth'))['state_dict']
    for name in ('patch_embed.projection.weight', 'stages.2.blocks.1.attn.w_msa.qkv.weight'):
        before = source[f'backbone.{name}']
        change = (after[f'backbone.{name}'] - before).abs().mean() / before.abs().mean()
        assert change < 0.1


def test_test_reproduces_the_evaluation(detector, toy, tmp_path):
    work_dir, _ = detector
    out = tmp_path / 'predictions.pkl'
    result = run_tool('tools/test.py', DETECT, work_dir / 'epoch_1.pth', '--work-dir', tmp_path,
                      '--out', out, *detect_options(toy))  # fmt: skip
    assert out.stat().st_size > 0
    metrics = json.loads(next(tmp_path.glob('*/*.json')).read_text().splitlines()[0])
    assert metrics['coco/bbox_mAP'] == pytest.approx(scalars(work_dir, 'coco/bbox_mAP')[1])
    assert 'bbox_mAP' in result.log


@pytest.mark.parametrize('prefix', ['None', 'encoder.'], ids=['missing', 'wrong'])
def test_bad_prefix_stops_before_training(toy, pretrained, tmp_path, prefix):
    key = 'model.backbone.init_cfg'
    start = [f'{key}.checkpoint={pretrained.checkpoint}', f'{key}.prefix={prefix}']
    options = detect_options(toy, *start)
    result = run_tool('tools/train.py', DETECT, '--work-dir', tmp_path, *options, check=False)
    assert result.returncode != 0
    assert "'backbone.'" in result.log and 'prefix' in result.log
    assert not scalars(tmp_path)


def test_report_of_the_demo(toy, tmp_path):
    out = tmp_path / 'demo'
    command = ['tools/run_demo.py', '--out', out, '--unlabelled', '64', '--train', '8',
               '--val', '8', '--pretrain-epochs', '2', '--finetune-epochs', '1']  # fmt: skip
    first = run_tool(*command)
    page = (out / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == 6
    assert 'src="http' not in page and 'href=' not in page  # self-contained
    for word in ('pre-trained', 'scratch', 'bbox_mAP', 'segm_mAP', 'padding', 'seconds'):
        assert word in page
    for name in ('loss', 'finetune_loss', 'reconstructions', 'groups', 'detections'):
        assert (out / f'{name}.png').stat().st_size > 5000
    results = json.loads((out / 'study' / 'results.json').read_text())['results']
    assert set(results) == {'pre-trained', 'scratch'}
    assert 'finished before' not in first.log
    assert run_tool(*command).log.count('finished before') == 3  # idempotent


def test_both_runs_of_the_demo_start_alike(toy, pretrained, tmp_path):
    """Same seed: heads start equal, only the backbone differs."""
    starts = {}
    for name, extra in (('a', ['model.backbone.init_cfg=None']), ('b', [])):
        options = detect_options(toy, 'optim_wrapper.optimizer.lr=0.0', *extra)
        start = [] if extra else ['--pretrained', pretrained.checkpoint]
        work_dir = tmp_path / name
        run_tool(
            'tools/train.py', DETECT, '--work-dir', work_dir, '--no-validate', *start, *options
        )
        starts[name] = load_checkpoint_file(str(work_dir / 'epoch_1.pth'))['state_dict']
    same = [k for k in starts['a'] if torch.equal(starts['a'][k], starts['b'][k])]
    heads = [k for k in starts['a'] if not k.startswith('backbone.') and 'running' not in k]
    assert set(heads) <= set(same)
    assert 'backbone.patch_embed.projection.weight' not in same


def test_mmpretrain_config_in_another_folder(toy, tmp_path):
    """A user's own file uses the registered classes by their scope."""
    own = tmp_path / 'mine.py'
    own.write_text(f"_base_ = '{ROOT / PRETRAIN}'\nmodel = dict(per_image=False)\n")
    run_tool('tools/train.py', own, '--work-dir', tmp_path / 'out', '--no-validate',
             '--cfg-options', f'train_dataloader.dataset.data_root={toy}/unlabelled',
             'train_dataloader.batch_size=16', 'train_cfg.max_epochs=1', 'param_scheduler.1.end=1',
             'param_scheduler.1.begin=0', 'param_scheduler.0.end=1')  # fmt: skip
    assert (tmp_path / 'out' / 'epoch_1.pth').is_file()


def test_pictures_of_predictions_lie_where_they_were_asked_for(detector, toy, tmp_path):
    """Four images of one name; a relative folder is below the current one."""
    work_dir, _ = detector
    data = json.loads((toy / 'annotations/instances_val.json').read_text())
    for i, image in enumerate(data['images']):
        (tmp_path / f'val/cam{i}').mkdir(parents=True)
        (tmp_path / f'val/cam{i}/frame.jpg').symlink_to(toy / 'val' / image['file_name'])
        image['file_name'] = f'cam{i}/frame.jpg'
    (tmp_path / 'val.json').write_text(json.dumps(data))
    options = detect_options(toy, f'test_dataloader.dataset.data_root={tmp_path}/',
                             'test_dataloader.dataset.ann_file=val.json',
                             f'test_evaluator.ann_file={tmp_path}/val.json')  # fmt: skip
    command = [ROOT / 'tools/test.py', ROOT / DETECT, work_dir / 'epoch_1.pth', '--work-dir', 'run',
               '--show-dir', 'pictures', '--out', 'predictions.pkl', *options]  # fmt: skip
    result = subprocess.run([sys.executable, *map(str, command)], cwd=tmp_path, env=environment(),
                            text=True, capture_output=True)  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    found = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob('*.jpg'))
    places = [
        Path(f'{folder}/cam{i}/frame.jpg') for folder in ('pictures', 'val') for i in range(4)
    ]
    assert found == places and (tmp_path / 'predictions.pkl').is_file()

"""Runs on classes that differ end before they begin, with the names."""

import json

import pytest
import torch

from tests.tools.conftest import DETECT, detect_options, refusal

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_a_run_ends_with_the_names(toy, tmp_path, tool):
    """One name is misspelt: today's MMDetection would train, and move every later name."""
    names = ['disc', 'sqare', 'triangle', 'ring']
    options = detect_options(toy, 'model.backbone.init_cfg=None', *(
        f'{split}_dataloader.dataset.metainfo.classes={",".join(names)}'
        for split in ('train', 'val', 'test')
    ))  # fmt: skip
    weights = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1))), weights)
    checkpoint = [weights] if tool == 'test' else []
    said = refusal(f'tools/{tool}.py', DETECT, *checkpoint, '--work-dir', tmp_path, *options)
    assert "only in classes: 'sqare' ('sqare' is near 'square')" in said
    assert "metainfo=dict(classes=('disc', 'square', 'triangle', 'ring'))" in said
    assert not list(tmp_path.glob('*/vis_data'))


def test_a_number_of_classes_that_is_too_small(toy, tmp_path):
    options = detect_options(
        toy, 'model.backbone.init_cfg=None', 'model.roi_head.bbox_head.num_classes=2'
    )
    said = refusal('tools/train.py', DETECT, '--work-dir', tmp_path, *options)
    assert 'model.roi_head.bbox_head.num_classes is 2' in said and 'mask_head' not in said
    assert 'model = dict(roi_head=dict(bbox_head=dict(num_classes=4)))' in said


def test_a_file_that_dies_after_the_first_epoch(toy, tmp_path):
    """No ``iscrowd``: MMDetection trains, and stumbles over it in the evaluation."""
    data = json.loads((toy / 'annotations/instances_val.json').read_text())
    for annotation in data['annotations']:
        del annotation['iscrowd']
    file = tmp_path / 'val.json'
    file.write_text(json.dumps(data))
    options = detect_options(toy, 'model.backbone.init_cfg=None',
                             f'val_dataloader.dataset.ann_file={file}',
                             f'val_evaluator.ann_file={file}')  # fmt: skip
    said = refusal('tools/train.py', DETECT, '--work-dir', tmp_path, *options)
    assert f'no iscrowd: {len(data["annotations"])}' in said and f'check_coco.py {file}' in said

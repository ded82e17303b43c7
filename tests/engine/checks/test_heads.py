"""The number of classes of every head is compared with the names."""

import pytest

from tests.engine.checks.test_class_sources import folders
from tests.engine.checks.test_classes import NAMES, coco, config, errors


@pytest.mark.parametrize('heads,wrong', [
    ((3, 3), []), ((2, 3), ['bbox']), ((3, 80), ['mask']), ((80, 80), ['bbox', 'mask']),
    ((None, 3), ['bbox']),  # its class says 80
])  # fmt: skip
def test_heads(tmp_path, heads, wrong):
    coco(tmp_path / 'train.json', NAMES)
    coco(tmp_path / 'val.json', NAMES)
    cfg = config(tmp_path, heads=heads)
    if heads[0] is None:
        del cfg.model.roi_head.bbox_head['num_classes']
    found = '\n'.join(errors(cfg))
    for head in ('bbox', 'mask'):
        line = f'model = dict(roi_head=dict({head}_head=dict(num_classes=3)))'
        assert (line in found) == (head in wrong)
        assert (f'model.roi_head.{head}_head.num_classes is ' in found) == (head in wrong)
    assert 'rpn_head' not in found


@pytest.mark.parametrize('model,right', [
    (dict(bbox_head=dict(type='RetinaHead', num_classes=80)), False),
    (dict(bbox_head=dict(type='RetinaHead', num_classes=3)), True),
    (dict(roi_head=dict(bbox_head=[dict(type='Shared2FCBBoxHead', num_classes=3),
                                   dict(type='Shared2FCBBoxHead', num_classes=80)])), False),
    (dict(roi_head=dict(mask_head=dict(type='FCNMaskHead', class_agnostic=True))), True),
    (dict(roi_head=dict(semantic_head=dict(type='FusedSemanticHead', num_classes=183))), True),
    (dict(panoptic_head=dict(type='Mask2FormerHead', num_things_classes=80, num_stuff_classes=0)),
     False),
    (dict(detector=dict(bbox_head=dict(type='RetinaHead', num_classes=80))), False),
    (dict(backbone=dict(type='ResNet', num_classes=1000)), True),
])  # fmt: skip
def test_heads_of_other_detectors(tmp_path, model, right):
    coco(tmp_path / 'train.json', NAMES)
    coco(tmp_path / 'val.json', NAMES)
    assert (errors(config(tmp_path, model=dict(type='A', **model))) == []) == right


@pytest.mark.parametrize('number', [1, 2, 3, 1000])
def test_the_head_of_a_classifier(tmp_path, number):
    cfg = folders(tmp_path, train=['b', 'c'], val=['b', 'c'])
    cfg.model.head.num_classes = number
    told = errors(cfg)
    assert bool(told) == (number != 2)
    if told:
        assert f'model.head.num_classes is {number}' in told[0]
        assert "train_dataloader.dataset has 2 classes ('b', 'c')" in told[0]
        assert 'model = dict(head=dict(num_classes=2))' in told[0]


def test_mixed_labels_have_the_number_of_the_preprocessor(tmp_path):
    cfg = folders(tmp_path, train=['b', 'c'], val=['b', 'c'])
    cfg.data_preprocessor = dict(num_classes=1000)
    assert errors(cfg) == []  # nothing reads it
    cfg.model.train_cfg = dict(augments=[dict(type='Mixup', alpha=0.8)])
    assert 'data_preprocessor = dict(num_classes=2)' in errors(cfg)[0]

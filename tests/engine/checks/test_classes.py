"""Classes of the config, the files, the evaluation and the heads are compared before a run.

The oracle: a detector that was trained to perfection on the training file, evaluated by
MMDetection's own metric on the validation file. Where its AP is not 1, or a number is shown under
another name, there must be an error; where all is well, there must be none.
"""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from greenmim_mm.compat.mmseg_name import find_mmseg_by_module
from greenmim_mm.engine.checks import CheckError, check_classes, enforce
from greenmim_mm.engine.checks.class_names import config_line, difference
from tests.engine.checks.coco.cases import annotation
from tests.test_configs import CONFIGS

LOADERS = ('train_dataloader', 'val_dataloader')
NAMES = ('cat', 'dog', 'bird')
PLACES = dict(cat=2, dog=14, bird=26, ant=38)


def square(left):
    right = left + 10
    return dict(box=(left, 3, 10, 10), segmentation=[[left, 3, right, 3, right, 13, left, 13]])


def coco(file, names, ids=None, objects=NAMES, images=(1, 2), **changes):
    """An object of each of ``objects`` in each image, each name at a place of its own."""
    ids = ids or range(1, len(names) + 1)
    number = dict(zip(names, ids))
    pairs = [(image, name) for image in images for name in objects if name in number]
    data = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=60, height=30) for i in images],
        categories=[dict(id=i, name=name) for i, name in zip(ids, names)],
        annotations=[
            annotation(i, image, number[name], **dict(square(PLACES[name]), **changes))
            for i, (image, name) in enumerate(pairs, 1)
        ],
    )
    file.write_text(json.dumps(data))


def config(folder, train_classes=NAMES, val_classes=None, heads=(3, 3), **more):
    def loader(file, classes):
        return dict(dataset=dict(
            type='CocoDataset', data_root=f'{folder}/', ann_file=file,
            metainfo=dict(classes=list(classes)), data_prefix=dict(img='images/'),
            pipeline=[dict(type='LoadAnnotations', with_bbox=True, with_mask=True)],
        ))  # fmt: skip

    return Config(dict(
        default_scope='mmdet', train_dataloader=loader('train.json', train_classes),
        val_dataloader=loader('val.json', val_classes or train_classes),
        val_evaluator=dict(type='CocoMetric', ann_file=f'{folder}/val.json', metric=['bbox']),
        model=dict(
            type='MaskRCNN',
            rpn_head=dict(type='RPNHead', num_classes=1),
            roi_head=dict(
                type='StandardRoIHead',
                bbox_head=dict(type='Shared2FCBBoxHead', num_classes=heads[0]),
                mask_head=dict(type='FCNMaskHead', num_classes=heads[1]),
            ),
        ),
    ) | more)  # fmt: skip


def errors(cfg, loaders=LOADERS):
    return [f.message for f in check_classes(cfg, loaders) if f.level == 'error']


def warnings(cfg):
    return [f.message for f in check_classes(cfg, LOADERS) if f.level == 'warning']


def a_perfect_detector_is_right(cfg, known):
    """Its AP on the validation file is 1, and every number is shown under its object's name."""
    from mmdet.evaluation import CocoMetric
    from mmdet.registry import DATASETS

    with contextlib.redirect_stdout(io.StringIO()):
        train, val = (
            DATASETS.build(dict(cfg[f'{name}_dataloader'].dataset, pipeline=[]))
            for name in ('train', 'val')
        )
        metric = CocoMetric(ann_file=cfg.val_evaluator.ann_file, metric='bbox')
        metric.dataset_meta = val.metainfo
        files = {
            name: json.loads(Path(cfg[f'{name}_dataloader'].dataset.data_root, f'{name}.json')
                             .read_text()) for name in ('train', 'val')
        }  # fmt: skip
        label = {c['name']: train.cat2label.get(c['id']) for c in files['train']['categories']}
        shown = all(
            label.get(name) is not None and val.metainfo['classes'][label[name]] == name
            for name in known
        )
        names = {c['id']: c['name'] for c in files['val']['categories']}
        for image in files['val']['images']:
            objects = [
                a for a in files['val']['annotations']
                if a['image_id'] == image['id'] and label.get(names[a['category_id']]) is not None
            ]  # fmt: skip
            boxes = np.array([a['bbox'] for a in objects], float).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            found = dict(
                bboxes=torch.tensor(boxes), scores=torch.ones(len(boxes)),
                labels=torch.tensor([label[names[a['category_id']]] for a in objects]),
            )  # fmt: skip
            metric.process({}, [dict(pred_instances=found, img_id=image['id'], ori_shape=(30, 60))])
        try:
            score = metric.compute_metrics(metric.results)['bbox_mAP']
        except IndexError:  # a number that the file does not have
            score = 0.0
    return shown and score == 1.0


# names in train.json, in val.json, ids in val.json, classes, or other classes of the validation
ORDERS = {
    'all alike': (NAMES, NAMES, None, NAMES, None),
    'other ids, same order': (NAMES, NAMES, (7, 3, 5), NAMES, None),
    'ids from 0': (NAMES, NAMES, (0, 1, 2), NAMES, None),
    'val.json in another order': (NAMES, ('bird', 'cat', 'dog'), None, NAMES, None),
    'val.json in another order, ids of train.json': (
        NAMES, ('bird', 'cat', 'dog'), (3, 1, 2), NAMES, None),
    'both files in another order': (('dog', 'cat', 'bird'), ('dog', 'cat', 'bird'), None, NAMES,
                                    None),
    'misspelt in the config': (NAMES, NAMES, None, ('cat', 'dgo', 'bird'), None),
    'another case': (NAMES, NAMES, None, ('Cat', 'dog', 'bird'), None),
    'a class more in the config': (NAMES, NAMES, None, ('ant', *NAMES), None),
    'misspelt in train.json': (('cat', 'dgo', 'bird'), NAMES, None, NAMES, None),
    'misspelt in val.json': (NAMES, ('cat', 'dgo', 'bird'), None, NAMES, None),
    'val.json lacks the first': (NAMES, ('dog', 'bird'), None, NAMES, None),
    'a class twice': (NAMES, NAMES, None, ('cat', 'dog', 'dog', 'bird'), None),
    'validation in another order': (NAMES, NAMES, None, NAMES, ('dog', 'cat', 'bird')),
    'a few classes of many': (('ant', *NAMES), ('ant', *NAMES), None, NAMES, None),
    'a few, at another place': (('ant', *NAMES), ('cat', 'ant', 'dog', 'bird'), None, NAMES, None),
}  # fmt: skip


@pytest.mark.parametrize('case', ORDERS)
def test_an_error_where_a_perfect_detector_would_be_wrong(tmp_path, case):
    train, val, ids, classes, val_classes = ORDERS[case]
    coco(tmp_path / 'train.json', train)
    coco(tmp_path / 'val.json', val, ids)
    cfg = config(tmp_path, classes, val_classes, heads=(len(classes),) * 2)
    right = a_perfect_detector_is_right(cfg, set(NAMES))
    assert (errors(cfg) == []) == right
    assert right == case.startswith(('all', 'other ids', 'ids', 'a few'))


def test_the_message_has_the_names_and_the_lines(tmp_path):
    coco(tmp_path / 'train.json', NAMES)
    coco(tmp_path / 'val.json', NAMES)
    (first, second) = errors(config(tmp_path, ('cat', 'dgo', 'bird')))
    assert 'train_dataloader.dataset' in first and 'val_dataloader.dataset' in second
    assert "only in classes: 'dgo' ('dgo' is near 'dog')" in first
    assert "only in the file: 'dog' ('dog' is near 'dgo')" in first
    for line in (
        "train_dataloader = dict(dataset=dict(metainfo=dict(classes=('cat', 'dog', 'bird'))))",
        "val_dataloader = dict(dataset=dict(metainfo=dict(classes=('cat', 'dog', 'bird'))))",
        'model = dict(roi_head=dict(bbox_head=dict(num_classes=3)))',
        'model = dict(roi_head=dict(mask_head=dict(num_classes=3)))',
    ):
        assert f'    {line}\n' in first + '\n'
    with pytest.raises(CheckError, match='dgo'):
        enforce(check_classes(config(tmp_path, ('cat', 'dgo', 'bird')), LOADERS))
    coco(tmp_path / 'val.json', ('bird', 'cat', 'dog'))
    (told,) = errors(config(tmp_path))
    assert "number 1 is 'cat' in classes and 'bird' in the file" in told
    assert f'--like {tmp_path}/train.json' in told


def test_lines_can_be_executed():
    """What a message tells to write sets what it says."""
    scope = {}
    exec(config_line('model.roi_head.bbox_head.num_classes', '2'), dict(dict=dict), scope)
    assert scope == dict(model=dict(roi_head=dict(bbox_head=dict(num_classes=2))))
    text = config_line('train_dataloader.dataset.datasets.1.metainfo', "dict(classes=('a',))")
    assert text.splitlines() == ['# in train_dataloader.dataset.datasets.1:',
                                 "metainfo=dict(classes=('a',))"]  # fmt: skip


def test_ten_names_at_most():
    told = difference([f'a{i}' for i in range(50)], ['b'], 'one', 'two')
    assert "'a9' and 40 more" in told and 'a10' not in told


def test_one_name_without_its_comma(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.dataset.metainfo.classes = 'cat'
    (told,) = errors(cfg)
    assert "must be a list of names, got 'cat'" in told and "classes=('cat',)" in told


def test_wrapped_and_concatenated(tmp_path):
    coco(tmp_path / 'train.json', NAMES)
    coco(tmp_path / 'val.json', NAMES)
    cfg = config(tmp_path)
    good = cfg.train_dataloader.dataset
    bad = dict(good, metainfo=dict(classes=('cat', 'bird', 'dog')))
    for inner in (
        dict(type='RepeatDataset', times=2, dataset=bad),
        dict(type='ConcatDataset', datasets=[good, bad]),
        dict(type='ClassBalancedDataset', oversample_thr=1e-3, dataset=bad),
        dict(type='MultiImageMixDataset', dataset=bad, pipeline=[]),
    ):
        cfg.train_dataloader.dataset = inner
        assert errors(cfg)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[good, good])
    assert errors(cfg) == []


def test_a_class_without_objects_is_a_warning(tmp_path):
    coco(tmp_path / 'train.json', NAMES, objects=('cat', 'bird'))
    coco(tmp_path / 'val.json', NAMES)
    cfg = config(tmp_path)
    assert errors(cfg) == []
    (told,) = warnings(cfg)
    assert told.endswith("train.json: no object of 'dog'")
    coco(tmp_path / 'train.json', ('ant', *NAMES), objects=('ant', *NAMES))
    (told,) = warnings(cfg)
    assert told.endswith("train.json: not in classes and left out: 'ant'")


@pytest.mark.parametrize('changes,train,val', [
    (dict(area=0), 'no usable object', None),
    (dict(ignore=1), 'no usable object', None),
    (dict(area=None), 'no area', 'no area'),
    (dict(iscrowd=None), None, 'no iscrowd'),
    (dict(segmentation=None), 'no segmentation', 'no segmentation'),
    (dict(box=[0.1, 0.1, 0.3, 0.3]), 'box in 0..1', 'box in 0..1'),
    (dict(segmentation=dict(size=[30, 60], counts=[5, 5])), 'broken RLE', 'broken RLE'),
])  # fmt: skip
def test_files_that_spoil_a_run(tmp_path, changes, train, val):
    for bad, other, kind in (('train', 'val', train), ('val', 'train', val)):
        coco(tmp_path / f'{bad}.json', NAMES, **changes)
        coco(tmp_path / f'{other}.json', NAMES)
        found = errors(config(tmp_path))
        assert bool(found) == (kind is not None)
        if kind:
            assert f'{kind}: ' in found[0] and f'{bad}.json' in found[0]
            assert 'check_coco.py' in found[0]


def test_a_test_set_without_annotations(tmp_path):
    """COCO's own: images and categories, for predictions that somebody else evaluates."""
    coco(tmp_path / 'val.json', NAMES)
    data = json.loads((tmp_path / 'val.json').read_text())
    del data['annotations']
    (tmp_path / 'val.json').write_text(json.dumps(data))
    cfg = config(tmp_path)
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    (told,) = check_classes(cfg, ('test_dataloader',))
    assert told.level == 'warning' and 'no usable object: no annotation at all' in told.message
    cfg.test_evaluator.format_only = True
    assert check_classes(cfg, ('test_dataloader',)) == []
    (tmp_path / 'train.json').write_text(json.dumps(data))
    coco(tmp_path / 'val.json', NAMES)
    (told,) = errors(cfg)
    assert 'no usable object: 1 (no annotation at all)' in told
    cfg.train_dataloader.dataset = dict(  # unlabelled images beside others
        type='ConcatDataset',
        datasets=[cfg.train_dataloader.dataset, dict(cfg.val_dataloader.dataset)],
    )
    assert errors(cfg) == [] and 'no usable object' in warnings(cfg)[0]


def test_masks_are_needed_where_they_are_read(tmp_path):
    for name in ('train', 'val'):
        coco(tmp_path / f'{name}.json', NAMES, segmentation=None)
    cfg = config(tmp_path)
    for loader in LOADERS:
        cfg[loader].dataset.pipeline[0].with_mask = False
    assert errors(cfg) == []
    cfg.val_evaluator.metric = ['bbox', 'segm']
    (told,) = errors(cfg)
    assert 'val.json' in told and 'no segmentation' in told


def test_a_file_that_is_none(tmp_path):
    coco(tmp_path / 'val.json', NAMES)
    (tmp_path / 'train.json').write_text('[]')
    (told,) = errors(config(tmp_path))
    assert told.startswith('train_dataloader.dataset: ') and 'got a list' in told


def test_the_evaluators_file(tmp_path):
    """Other images than the data set's: an assertion after the evaluation, or a low AP."""
    for name in ('train', 'val', 'other'):
        coco(tmp_path / f'{name}.json', NAMES)
    cfg = config(tmp_path)
    cfg.val_evaluator.ann_file = str(tmp_path / 'other.json')
    assert errors(cfg) == warnings(cfg) == []
    coco(tmp_path / 'other.json', NAMES[::-1])
    (told,) = errors(cfg)
    assert told.startswith('val_evaluator: ') and 'another order' in told
    coco(tmp_path / 'other.json', NAMES, images=(1, 2, 3))
    assert errors(cfg) == [] and 'has 1 that are not in it' in warnings(cfg)[0]
    coco(tmp_path / 'other.json', NAMES, images=(1, 3))
    assert 'lacks 1 images' in errors(cfg)[0]


def test_before_a_test_the_classes_of_the_training_count(tmp_path):
    """The training file itself need not be there."""
    coco(tmp_path / 'val.json', NAMES)
    cfg = config(tmp_path)
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    assert errors(cfg, ('test_dataloader',)) == []
    cfg.train_dataloader.dataset.metainfo.classes = ['dog', 'cat', 'bird']
    (told,) = errors(cfg, ('test_dataloader',))
    assert 'the classes of two data sets differ' in told


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_our_configs_are_right(path):
    find_mmseg_by_module()
    assert check_classes(Config.fromfile(path), LOADERS) == []

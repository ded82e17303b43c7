"""Every kind of problem is found, counted and mended; what was mended trains and evaluates."""

import contextlib
import io
import json
from collections import Counter

import numpy as np
import pytest
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.checks.coco import PROBLEMS, CocoChecker, compare_categories, read

from .cases import ALSO, CASES, LEFT, LESS, MORE, annotation, rle, runs

ALL = 'no usable object'


@pytest.mark.parametrize('case', CASES)
def test_a_problem_is_found_and_mended(dataset, case, tmp_path):
    data, folder = dataset
    make, number = CASES[case] if isinstance(CASES[case], tuple) else (CASES[case], 1)
    make(data, folder)
    before = json.dumps(data)
    result = CocoChecker(data, folder)
    kind = case.split(':')[0]
    expected = {kind: number, **ALSO.get(case, {})}
    assert {key: len(found) for key, found in result.problems.items()} == expected
    assert f'| {kind} | {number} |' in result.table()
    assert json.dumps(data) == before
    assert CocoChecker(result.fixed, folder).problems == {}
    assert len(result.fixed['annotations']) == LEFT - (case in LESS) + (case in MORE)
    for a in result.fixed['annotations']:
        if case != 'boxes of another size' and a['bbox'] != [35, 1, 5, 5]:
            assert np.allclose(a['bbox'], [2, 3, 10, 10]) and a['area'] == 100
    file = tmp_path / 'fixed.json'
    file.write_text(json.dumps(result.fixed))
    perfect_predictions_are_perfect(file)
    everything_is_trained_on(file, folder)


def perfect_predictions_are_perfect(file):
    """Of pycocotools itself, on the objects of the file."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(file)
        found = [
            dict(image_id=a['image_id'], category_id=a['category_id'], score=0.9, bbox=a['bbox'],
                 segmentation=masks.encode(np.asfortranarray(truth.annToMask(a))))
            for a in truth.anns.values()
        ]  # fmt: skip
        for kind in ('bbox', 'segm'):
            evaluation = COCOeval(truth, truth.loadRes(found), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert evaluation.stats[0] == pytest.approx(1)


def everything_is_trained_on(file, folder):
    """MMDetection's own data set makes a target of every object, with a mask inside its box."""
    from mmdet.datasets import CocoDataset
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    names = [c['name'] for c in json.loads(file.read_text())['categories']]
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackDetInputs'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]  # fmt: skip
    pipeline = [pipeline[0], pipeline[2], pipeline[1]]
    with contextlib.redirect_stdout(io.StringIO()):
        data = DATASETS.build(dict(type=CocoDataset, ann_file=str(file), pipeline=pipeline,
                                   metainfo=dict(classes=names),
                                   data_prefix=dict(img=str(folder))))  # fmt: skip
    targets = [data[i]['data_samples'].gt_instances for i in range(len(data))]
    assert sum(map(len, targets)) == len(json.loads(file.read_text())['annotations'])
    for target in targets:
        for box, mask in zip(target.bboxes.tensor.numpy(), target.masks.masks):
            rows, columns = np.nonzero(mask)
            edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert np.allclose(edges, box, atol=1)


@pytest.mark.parametrize(
    'change', [dict(iscrowd=1), dict(ignore=1), dict(ignore=1, iscrowd=1)], ids=str
)
def test_nothing_to_train_on(dataset, change):
    data, folder = dataset
    for a in data['annotations']:
        a.update(change)
    result = CocoChecker(data, folder)
    assert list(result.problems) == [ALL] and sum(result.objects.values()) == 0
    data['annotations'][0].update(iscrowd=0, ignore=0)
    assert CocoChecker(data, folder).problems == {}


def test_every_problem_has_a_case():
    elsewhere = {
        ALL,
        'boxes of the unturned picture',
        'boxes of an unclear frame',
    }  # test_frames.py
    assert set(PROBLEMS) == {case.split(':')[0] for case in CASES} | elsewhere


def test_nothing_to_find(dataset):
    data, folder = dataset
    data['annotations'] += [annotation(3, segmentation=rle()),
                            annotation(4, segmentation=dict(size=[30, 40], counts=runs())),
                            annotation(5, segmentation=rle(), iscrowd=1), annotation(6, ignore=1),
                            annotation(7, iscrowd=False)]  # fmt: skip
    result = CocoChecker(data, folder)
    assert result.problems == {} and result.fixed == data
    assert result.classes == ('x',) and result.image_ids == {1, 2} and result.objects == {'x': 5}


def test_objects_are_counted_as_mmdetection_does(dataset, tmp_path):
    """Of the file as it is, not of the mended one."""
    from mmdet.datasets import CocoDataset

    data, _ = dataset
    changes = (dict(area=0), dict(iscrowd=1), dict(ignore=1), dict(bbox=[2, 3, 0.5, 9]),
               dict(bbox=[50, 3, 9, 9]), dict(category_id=2), dict(bbox=[36, 3, 9, 9]))  # fmt: skip
    data['categories'].append(dict(id=2, name='y'))
    data['annotations'] += [annotation(i, **more) for i, more in enumerate(changes, 3)]
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(data))
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = CocoDataset(ann_file=str(file), metainfo=dict(classes=('x', 'y')),
                                 data_prefix=dict(img=''))  # fmt: skip
    counted = Counter(
        'xy'[one['bbox_label']]
        for i in range(len(theirs))
        for one in theirs.get_data_info(i)['instances']
        if not one['ignore_flag']
    )
    assert CocoChecker(data).objects == counted == {'x': 3, 'y': 1}


def test_different_ids_stay_different(dataset):
    """Text that means one number in several ways; a number beside its text."""
    data, folder = dataset
    for ids in (('01', '001'), (2, '2'), ('2', 2), ('1', ' 1')):
        for image, key in zip(data['images'], ids):
            image['id'] = key
        for a, key, left in zip(data['annotations'], ids, (2, 3)):
            a.update(image_id=key, bbox=[left, 3, 10, 10], id=key)
        result = CocoChecker(data, folder)
        assert list(result.problems) == ['id is no whole number']
        fixed = result.fixed
        names = {image['id']: image['file_name'] for image in fixed['images']}
        assert sorted(names.values()) == ['a.jpg', 'b.png']
        placed = {names[a['image_id']]: a['bbox'][0] for a in fixed['annotations']}
        assert placed == {'a.jpg': 2, 'b.png': 3}
        assert len({a['id'] for a in fixed['annotations']}) == 2
        assert CocoChecker(fixed, folder).problems == {}


def test_the_area_of_a_small_part_of_the_box(dataset):
    """A thin mask has a small area, and not a much smaller one."""
    data, folder = dataset
    thin = annotation(3, box=(0, 0, 40, 30), segmentation=[[0, 0, 2, 0, 40, 30, 38, 30]])
    data['annotations'].append(thin)
    for area, wrong in ((60, False), (100, False), (1200, False), (21, True), (3000, True)):
        thin['area'] = area
        result = CocoChecker(data, folder)
        assert list(result.problems) == ['area differs'] * wrong, area
        assert 50 < result.fixed['annotations'][2]['area'] < 70 or not wrong
    thin['area'] = 60
    assert CocoChecker(data, folder, with_masks=False).problems == {}


def test_no_annotation_at_all(dataset):
    data, folder = dataset
    data['annotations'] = []
    assert CocoChecker(data, folder).problems == {ALL: ['no annotation at all']}


def test_categories_named_in_two_ways(dataset, tmp_path):
    """Case and blanks are mended; what may be misspelt is left to the user."""
    data, folder = dataset
    other = dict(data, categories=[dict(id=1, name='a'), dict(id=2, name='b')])
    (tmp_path / 'train.json').write_text(json.dumps(other))
    for names, renamed, near in (
        (['a', 'B'], "renames 'B' to 'b'", ''),
        (['a', 'b '], "renames 'b ' to 'b'", ''),
        (['a', 'bb'], '', "'bb' is near 'b'"),
        (['a', 'B', 'b '], '', "'B' is near 'b'"),
        (['a', 'b', 'B'], '', "'B' is near 'b'"),
        (['a', 'zebra'], '', ''),
        (['a', 'b', 'bb'], '', ''),
    ):
        ours = dict(data, categories=[dict(id=i, name=n) for i, n in enumerate(names, 1)])
        ours['annotations'] = [annotation(1, category=2)]
        fixed, told, doubts = compare_categories(CocoChecker(ours, folder), tmp_path / 'train.json')
        assert (renamed or '--fix') in told if renamed else '--fix' not in told
        assert doubts.startswith(near) and bool(doubts) == bool(near)
        if renamed:
            assert fixed['categories'] == other['categories']
            assert fixed['annotations'][0]['category_id'] == 2
        kept = compare_categories(CocoChecker(ours, folder), tmp_path / 'train.json', tuple(names))
        assert kept[2] == '' and 'renames' not in kept[1]


def test_boxes_alone(dataset):
    data, folder = dataset
    for a in data['annotations']:
        del a['segmentation'], a['area']
    result = CocoChecker(data, folder, with_masks=False)
    assert list(result.problems) == ['no area']
    assert [a['area'] for a in result.fixed['annotations']] == [100, 100]
    for a, box in zip(data['annotations'], ((30, 20, 38, 28), (25, 5, 39, 29))):
        a.update(bbox=list(box), area=64)
    data['annotations'].append(annotation(3, box=(20, 20, 30, 25)))
    result = CocoChecker(data, folder, with_masks=False)
    assert list(result.problems) == ['box as corners']
    assert [a['bbox'] for a in result.fixed['annotations']] == [
        [30, 20, 8, 8], [25, 5, 14, 24], [20, 20, 10, 5]
    ]  # fmt: skip


def test_decode_finds_a_truncated_file(dataset):
    data, folder = dataset
    whole = (folder / 'a.jpg').read_bytes()
    (folder / 'a.jpg').write_bytes(whole[: len(whole) - 60])
    assert CocoChecker(data, folder).problems == {}
    assert 'unreadable image' in CocoChecker(data, folder, every_pixel=True).problems


@pytest.mark.parametrize('content,message', [
    ('[]', 'must be an object with images, annotations, categories, got a list'),
    ('[{"score": 1}]', 'this looks like a file of predictions'),
    ('{"images": []}', 'annotations must be a list of objects, got None'),
    ('{"images": [1], "annotations": [], "categories": []}', r'images must be .* got \[1\]'),
    ('{"images": ', 'cannot be read as JSON'),
    ('\xff\xd8', 'cannot be read as JSON'),
])  # fmt: skip
def test_files_that_are_none(tmp_path, content, message):
    (tmp_path / 'a.json').write_text(content, encoding='latin-1')
    with pytest.raises(CheckError, match=message):
        read(tmp_path / 'a.json')


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_encodings(dataset, tmp_path, encoding):
    (tmp_path / 'a.json').write_text(json.dumps(dataset[0]), encoding=encoding)
    assert read(tmp_path / 'a.json') == dataset[0]


def test_categories_are_brought_into_the_order_of_another_file(dataset, tmp_path):
    data, folder = dataset
    data['categories'] = [dict(id=i, name=n) for i, n in ((1, 'dog'), (5, 'bird'), (7, 'cat'))]
    data['annotations'] = [annotation(1, category=1), annotation(2, 2, category=5)]
    other = dict(data, annotations=[], categories=[dict(id=3, name='cat'), dict(id=1, name='dog')])
    (tmp_path / 'train.json').write_text(json.dumps(other))
    fixed, told, doubts = compare_categories(CocoChecker(data, folder), tmp_path / 'train.json')
    assert not doubts and "only in this file: 'bird'" in told
    assert [(c['id'], c['name']) for c in fixed['categories']] == [
        (3, 'cat'), (1, 'dog'), (4, 'bird')
    ]  # fmt: skip
    assert [a['category_id'] for a in fixed['annotations']] == [1, 4]
    data['categories'].pop(1)
    data['annotations'].pop()
    _, told, _ = compare_categories(CocoChecker(data, folder), tmp_path / 'train.json')
    assert "number 1 is 'dog' in this file and 'cat' in" in told

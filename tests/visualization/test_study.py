import contextlib
import io
import json
import math
import statistics

import pytest
from matplotlib.image import imread
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from greenmim_mm.visualization import defined, last_evaluation, plot_study, study_table

RESULTS = {
    'mim': [{'coco/bbox_mAP': 12.0, 'other': 1.0}, {'coco/bbox_mAP': 15.0, 'other': 1.0},
            {'coco/bbox_mAP': 9.0, 'other': 1.0}],
    'scratch': [{'coco/bbox_mAP': 10.0, 'other': 2.0}, {'coco/bbox_mAP': 11.0, 'other': 2.0},
                {'coco/bbox_mAP': 12.0, 'other': 2.0}],
}  # fmt: skip


def test_table_has_means_spreads_and_paired_differences():
    table = study_table(RESULTS)
    assert '| start | seeds | coco/bbox_mAP |' in table  # the main metrics only
    assert f'| mim | 3 | 12.00 ± {statistics.stdev([12, 15, 9]):.2f} |' in table
    assert '| scratch | 3 | 11.00 ± 1.00 |' in table
    paired = f'+1.00 ± {statistics.stdev([2, 4, -3]):.2f}; above in 2 of 3'
    assert f'| mim minus scratch, per seed | 3 | {paired} |' in table
    assert '| scratch | 3 | 2.00 ± 0.00 |' in study_table(RESULTS, ['other'])


def test_what_is_undefined_is_no_number(tmp_path):
    """COCO's -1 (no object of that size) is not averaged, subtracted, or drawn."""
    small, large = 'coco/bbox_mAP_s', 'coco/bbox_mAP_l'
    results = {
        name: [{small: None, large: 10.0 + i}, {small: None, large: None}, {small: None, large: i}]
        for name, i in (('mim', 2.0), ('scratch', 0.0))
    }
    table = study_table(results, [small, large])
    assert f'| mim | 3 | - | 7.00 ± {statistics.stdev([12, 2]):.2f} (2 of 3 seeds) |' in table
    difference = '+2.00 ± 0.00 (2 of 3 seeds); above in 2 of 2'
    assert f'| mim minus scratch, per seed | 3 | - | {difference} |' in table
    assert '-: undefined' in table and '-: undefined' not in study_table(RESULTS)
    plot_study(results, tmp_path / 'study.png', [small, large])
    assert imread(tmp_path / 'study.png').std() > 0


def test_what_coco_leaves_undefined_is_read_as_none(tmp_path):
    """The -1 is that of pycocotools itself, for a file without a small object."""
    file = tmp_path / 'a.json'
    data = dict(images=[dict(id=1, width=200, height=200)], categories=[dict(id=1, name='x')],
                annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 150, 150],
                                  area=22500, iscrowd=0)])  # fmt: skip
    file.write_text(json.dumps(data))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(file)
        found = truth.loadRes([
            dict(image_id=1, category_id=1, bbox=[0, 0, 150, 150], score=1)
        ])  # fmt: skip
        evaluation = COCOeval(truth, found, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    overall, small = evaluation.stats[0], evaluation.stats[3]
    assert small == -1
    line = {'coco/bbox_mAP': overall, 'coco/bbox_mAP_s': small, 'coco/x_precision': math.nan}
    write_scalars(tmp_path, {'loss': 1.0, 'lr': 0.1, 'step': 1}, line | {'step': 1})
    expected = {'coco/bbox_mAP': 100, 'coco/bbox_mAP_s': None, 'coco/x_precision': None}
    assert last_evaluation(tmp_path) == pytest.approx(expected)
    assert defined('coco/bbox_mAP', -100.0) is None  # stored by an earlier version


def test_one_seed_has_no_spread():
    table = study_table({name: runs[:1] for name, runs in RESULTS.items()})
    assert '| mim | 1 | 12.00 |' in table and '| 1 | +2.00; above in 1 of 1 |' in table
    assert 'One seed shows no spread' in table and '±' not in table
    assert 'One seed' not in study_table(RESULTS)


def test_unknown_metric_is_named():
    with pytest.raises(ValueError, match='no metric AP; the runs have coco/bbox_mAP, other'):
        study_table(RESULTS, ['AP'])


def test_picture(tmp_path):
    plot_study(RESULTS, tmp_path / 'study.png')
    assert imread(tmp_path / 'study.png').std() > 0


def write_scalars(tmp_path, *lines):
    folder = tmp_path / '0' / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))


def test_last_evaluation(tmp_path):
    write_scalars(
        tmp_path,
        {'loss': 1.0, 'lr': 0.1, 'step': 1},
        {'coco/bbox_mAP': 0.1, 'step': 1, 'time': 2.0},
        {'loss': 0.5, 'lr': 0.1, 'step': 2},
        {'coco/bbox_mAP': 0.25, 'accuracy/top1': 30.0, 'step': 2, 'time': 2.0, 'data_time': 1.0},
        {'loss': 0.5, 'lr': 0.1, 'step': 3},
    )
    assert last_evaluation(tmp_path) == {'coco/bbox_mAP': 25.0, 'accuracy/top1': 30.0}


def test_a_run_without_evaluation(tmp_path):
    write_scalars(tmp_path, {'loss': 1.0, 'lr': 0.1, 'step': 1})
    with pytest.raises(ValueError, match='holds no evaluation'):
        last_evaluation(tmp_path)

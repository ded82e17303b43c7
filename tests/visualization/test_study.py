import json
import statistics

import pytest
from matplotlib.image import imread

from greenmim_mm.visualization import last_evaluation, plot_study, study_table

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

import re

import pytest
from mmengine.config import Config

from greenmim_mm.engine.checks import check_datasets, check_work_dir


def loader(**dataset):
    return Config(dict(train_dataloader=dict(dataset=dataset)))


def test_complete_set_passes(tmp_path):
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations' / 'a.json').touch()
    (tmp_path / 'img').mkdir()
    cfg = loader(type='CocoDataset', data_root=str(tmp_path), ann_file='annotations/a.json',
                 data_prefix=dict(img='img/'))  # fmt: skip
    assert check_datasets(cfg, ('train_dataloader', 'val_dataloader')) == []


@pytest.mark.parametrize('dataset,missing,layout', [
    (dict(type='CocoDataset', ann_file='a.json'), 'a.json', 'instances_train2017'),
    (dict(type='mmdet.CocoDataset', data_prefix=dict(img='img/')), 'img/', 'instances_train2017'),
    (dict(type='ImageNet', split='train'), 'train', 'CLASS'),
    (dict(type='CustomDataset', data_prefix='x', with_label=False), 'x', 'at any depth'),
    (dict(type='CustomDataset', data_prefix='x'), 'x', 'CLASS'),
    (dict(type='ADE20KDataset', data_prefix=dict(img_path='images/training')), 'images/training',
     'DATA_ROOT/annotations/{training,validation}'),
    (dict(type='mmseg.CityscapesDataset', data_prefix=dict(seg_map_path='gtFine/train')),
     'gtFine/train', 'labelTrainIds'),
    (dict(type='CIFAR100', data_prefix='x', download=False), 'x', 'at any depth'),
])  # fmt: skip
def test_what_is_missing_is_named(tmp_path, dataset, missing, layout):
    cfg = loader(data_root=str(tmp_path), **dataset)
    (finding,) = check_datasets(cfg, ('train_dataloader',))
    assert finding.level == 'error'
    text = finding.message
    assert f'data set not found: {tmp_path}/{missing}' in text
    assert layout in text
    assert 'train_dataloader.dataset.data_root=/your/data' in text


def test_path_objects(tmp_path):
    """They are as good as texts for a data set; the check must take them, too."""
    for root in (tmp_path / 'no', [tmp_path, tmp_path / 'no']):
        (finding,) = check_datasets(
            loader(type='UnlabelledImages', data_root=root), ('train_dataloader',)
        )
        assert f'data set not found: {tmp_path}/no ' in finding.message


@pytest.mark.parametrize('root', [2024, 0, True, 2.5, {'a': 'b'}, ['x', 7], [None]])
@pytest.mark.parametrize('kind', ['UnlabelledImages', 'CocoDataset'])
def test_a_root_that_is_no_path(root, kind):
    """A folder 2024 ended with a traceback: mmengine reads a number from the command line."""
    cfg = loader(type=kind, data_root=root)
    (finding,) = check_datasets(cfg, ('train_dataloader',))
    wrong = root[-1] if isinstance(root, list) else root
    assert finding.level == 'error'
    assert 'train_dataloader.dataset.data_root must be a path' in finding.message
    assert f'got {wrong!r}. A folder whose name is a number: ./NAME' in finding.message
    assert check_datasets(loader(type=kind, data_root=None), ('train_dataloader',)) == []


def test_wrapped_and_concatenated_sets(tmp_path):
    inner = dict(type='CocoDataset', data_root=str(tmp_path / 'no'))
    good = dict(type='CocoDataset', data_root=str(tmp_path))
    cfg = loader(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[good, inner]))
    (finding,) = check_datasets(cfg, ('train_dataloader',))
    assert re.search(r'named by train_dataloader.*datasets\.1', finding.message)


def test_remote_paths_are_not_looked_for():
    cfg = loader(type='CocoDataset', data_root='s3://bucket/x')
    assert check_datasets(cfg, ('train_dataloader',)) == []


def test_a_set_that_is_fetched_need_not_be_there():
    cfg = loader(type='CIFAR100', data_root='nowhere/cifar100')
    assert check_datasets(cfg, ('train_dataloader',)) == []


def test_a_work_dir_that_cannot_be_one_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    assert check_work_dir(Config(dict(work_dir=str(tmp_path / 'new/er')))) == []
    assert not (tmp_path / 'new').exists()
    for name in ('file', 'file/below'):
        (finding,) = check_work_dir(Config(dict(work_dir=str(tmp_path / name))))
        assert finding.level == 'error' and f'{tmp_path}/file is not a folder' in finding.message
        assert '--work-dir' in finding.message

"""Data sets of a run: class folders, and pictures of annotation files."""

import json

import pytest
from mmengine.config import Config
from PIL import Image

from tests.engine.checks.test_classes import NAMES, coco, config, errors, warnings


def folders(tmp_path, **splits):
    def loader(split):
        return dict(dataset=dict(type='CustomDataset', data_root=str(tmp_path), data_prefix=split))

    for split, names in splits.items():
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / 'a.jpg').touch()
    return Config(dict(default_scope='mmpretrain', train_dataloader=loader('train'),
                       val_dataloader=loader('val'), model=dict(
        type='ImageClassifier', head=dict(type='LinearClsHead', num_classes=2))))  # fmt: skip


def test_class_folders(tmp_path):
    """MMPretrain numbers folders in alphabetical order, in each data set by itself."""
    from mmpretrain.datasets import CustomDataset

    cfg = folders(tmp_path, train=['b', 'c'], val=['b', 'c'])
    assert errors(cfg) == []
    (tmp_path / 'train' / 'a').mkdir()
    (tmp_path / 'train' / 'a' / 'a.jpg').touch()
    cfg.model.head.num_classes = 3
    theirs = [CustomDataset(data_root=str(tmp_path), data_prefix=s) for s in ('train', 'val')]
    assert theirs[0].folder_to_idx['b'] != theirs[1].folder_to_idx['b']
    (told,) = errors(cfg)
    assert "only in train_dataloader.dataset: 'a'" in told and 'Every class needs a folder' in told
    (tmp_path / 'val' / 'a').mkdir()
    assert errors(cfg) == []
    (tmp_path / 'val' / '.ipynb_checkpoints').mkdir()  # a class, for MMPretrain
    assert "only in val_dataloader.dataset: '.ipynb_checkpoints'" in errors(cfg)[0]


def test_names_and_folders_are_equally_many(tmp_path):
    """MMPretrain's ImageNet has 1000 names, whatever is in the folder."""
    cfg = folders(tmp_path, train=['b', 'c'], val=['b', 'c'])
    cfg.train_dataloader.dataset = dict(type='ImageNet', data_root=str(tmp_path), split='train')
    (told,) = errors(cfg)
    assert "ImageNet has 1000 names ('tench, Tinca tinca'," in told
    assert "has 2 class folders ('b', 'c')" in told and 'CustomDataset' in told


@pytest.mark.parametrize('fault,message', [
    (None, None),
    ('gone', 'missing file: 1 (7.jpg (image 7), of 20 pictures looked at)'),
    ('in front', 'file name with folders in front: 20 ('),
    ('turned', 'boxes of the unturned picture: 20 (1.jpg: 60 x 30, the detector sees 30 x 60'),
])  # fmt: skip
def test_some_pictures_are_looked_at(tmp_path, fault, message):
    """A run would train on boxes at the wrong place, or die at the first picture."""
    exif = Image.Exif()
    exif[0x0112] = 6 if fault == 'turned' else 1  # to be turned by a quarter
    (tmp_path / 'images').mkdir()
    for i in range(1, 41):
        if fault != 'gone' or i != 7:
            Image.new('RGB', (60, 30)).save(tmp_path / f'images/{i}.jpg', exif=exif)
    for name in ('train', 'val'):
        coco(tmp_path / f'{name}.json', ('ant', *NAMES), objects=('ant', *NAMES),
             images=range(1, 41))  # fmt: skip
        if fault == 'in front':
            data = json.loads((tmp_path / f'{name}.json').read_text())
            for image in data['images']:
                image['file_name'] = 'images/' + image['file_name']
            (tmp_path / f'{name}.json').write_text(json.dumps(data))
    cfg = config(tmp_path, ('ant', *NAMES), heads=(4, 4))
    told = errors(cfg)
    assert warnings(cfg) == []
    assert len(told) == (0 if fault is None else 2)  # both files
    assert all(message in text for text in told)

"""Classes that are folders."""

from mmengine.config import Config

from tests.engine.checks.test_classes import errors


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

"""The classes of a data set: what its config says, and what its files hold."""

import os
import os.path as osp
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Dict, FrozenSet, Optional, Sequence, Tuple, Union

from mmengine.config import ConfigDict
from mmengine.registry import DATASETS, Registry

from .class_names import some
from .coco import CocoChecker, look_at_some, read


def resolve(registry: Registry, kind, scope: Optional[str]):
    """The class that a ``type`` names in a package's registry; None if it names none."""
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(scope) as inner:
        return inner.get(kind)


@dataclass(frozen=True)
class CocoFile:
    """What an annotation file holds; attributes as of :class:`CocoChecker`."""

    path: str
    classes: Tuple[str, ...]
    objects: Counter
    image_ids: FrozenSet[int]
    problems: Dict[str, Sequence[str]]


def coco_file(path: str, with_masks: bool, pictures: str = '') -> CocoFile:
    """Read an annotation file, once per process, and look at some of its pictures.

    Args:
        path (str): The file.
        with_masks (bool): Whether every object needs a segmentation.
        pictures (str): Folder with the pictures. Defaults to '': none is opened.

    Raises:
        CheckError: If it is none.
    """
    return _coco_file(path, os.stat(path).st_mtime_ns, with_masks, pictures)


@lru_cache(maxsize=8)
def _coco_file(path: str, changed: int, with_masks: bool, pictures: str) -> CocoFile:
    data = read(Path(path), without_annotations=True)
    checker = CocoChecker(data, with_masks=with_masks)
    problems = checker.problems
    if osp.isdir(pictures):
        problems = {**problems, **look_at_some(data, Path(pictures))}
    return CocoFile(path, checker.classes, checker.objects, checker.image_ids, problems)


@dataclass(frozen=True)
class Source:
    """One data set of a run, not wrapped.

    Args:
        loader (str): ``train_dataloader``, ``val_dataloader`` or ``test_dataloader``.
        key (str): Where its config stands.
        config (ConfigDict): Its config.
        scope (str, optional): Default scope of the run.
    """

    loader: str
    key: str
    config: ConfigDict
    scope: Optional[str]
    kind: type = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'kind', resolve(DATASETS, self.config.get('type'), self.scope))

    def _path(self, name: str) -> str:
        return osp.expanduser(osp.join(self.config.get('data_root') or '', name or ''))

    @property
    def declared(self) -> Union[Tuple[str, ...], str, None]:
        """Names in the config, or those that the data set's class has of itself."""
        if not hasattr(self.kind, '_load_metainfo'):
            return None
        metainfo = dict(self.config.get('metainfo') or {})
        if self.config.get('classes') is not None:
            metainfo.setdefault('classes', self.config['classes'])
        classes = self.kind._load_metainfo(metainfo).get('classes')
        return classes if classes is None or isinstance(classes, str) else tuple(classes)

    @property
    def annotation_file(self) -> Optional[str]:
        """Of a data set that ``mmdet.CocoDataset`` reads; None for another, or a remote one."""
        import mmdet.datasets as mmdet

        coco = mmdet.CocoDataset
        if not isinstance(self.kind, type) or not issubclass(self.kind, coco):
            return None
        ours = self.kind.load_data_list is coco.load_data_list
        if not ours or self.kind.COCOAPI is not coco.COCOAPI:  # LVIS, panoptic
            return None
        path = self._path(self.config.get('ann_file'))
        return path if osp.isfile(path) else None

    @property
    def with_masks(self) -> bool:
        """Whether the pipeline reads masks."""
        steps = self.config.get('pipeline') or []
        return any(step.get('with_mask') for step in steps if isinstance(step, dict))

    @property
    def pictures(self) -> str:
        """Folder of the pictures."""
        prefix = self.config.get('data_prefix') or ''
        if isinstance(prefix, dict):
            prefix = next((prefix[k] for k in ('img', 'img_path') if prefix.get(k)), '')
        return self._path(prefix or self.config.get('split') or '')

    @property
    def folders(self) -> Optional[Tuple[str, ...]]:
        """Class folders in MMPretrain's order, if they are this data set's labels."""
        import mmpretrain.datasets as mmpretrain

        kind, config = self.kind, self.config
        if not isinstance(kind, type) or not issubclass(kind, mmpretrain.CustomDataset):
            return None
        listed = config.get('ann_file') or (
            config.get('split') and osp.isfile(self._path(f'meta/{config["split"]}.txt'))
        )
        if listed or not config.get('with_label', True) or not osp.isdir(self.pictures):
            return None
        with os.scandir(self.pictures) as entries:
            return tuple(sorted(entry.name for entry in entries if entry.is_dir()))

    def describe(self) -> str:
        """For messages: the key and the names."""
        return f'{self.key} ({some(self.declared or ())})'

"""A data set that is not there, and a work dir that cannot be one."""

import os
import os.path as osp
from typing import Iterator, List, Tuple

from mmengine.config import Config

from .finding import Finding

_LAYOUTS = {
    'coco': 'DATA_ROOT/annotations/instances_train2017.json and DATA_ROOT/train2017/*.jpg '
    '(likewise val2017), or the ann_file and data_prefix.img of the config',
    'imagenet': 'DATA_ROOT/train/CLASS/*.JPEG and DATA_ROOT/val/CLASS/*.JPEG',
    'ade20k': 'DATA_ROOT/images/{training,validation}/*.jpg and '
    'DATA_ROOT/annotations/{training,validation}/*.png',
    'cityscapes': 'DATA_ROOT/leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and '
    'DATA_ROOT/gtFine/{train,val}/CITY/*_gtFine_labelTrainIds.png',
    'folder': 'a folder with images at any depth, or a .txt with a path per line',
}


def leaf_datasets(cfg: dict, key: str) -> Iterator[Tuple[str, dict]]:
    """Dataset configs below ``cfg``, inside wrappers too, with their config keys."""
    if cfg.get('dataset') is not None:
        yield from leaf_datasets(cfg['dataset'], f'{key}.dataset')
    elif cfg.get('datasets') is not None:
        for i, inner in enumerate(cfg['datasets']):
            yield from leaf_datasets(inner, f'{key}.datasets.{i}')
    else:
        yield key, cfg


def _layout(cfg: dict) -> str:
    kind = str(cfg.get('type', '')).rsplit('.', 1)[-1].lower()
    if 'coco' in kind or 'lvis' in kind:
        return _LAYOUTS['coco']
    for name in ('ade20k', 'cityscapes'):
        if kind.startswith(name):
            return _LAYOUTS[name]
    if 'imagenet' in kind or (kind == 'customdataset' and cfg.get('with_label', True)):
        return _LAYOUTS['imagenet']
    return _LAYOUTS['folder']


def _paths(cfg: dict) -> List[str]:
    """Files and folders that a dataset config names."""
    root = cfg.get('data_root') or ''
    if isinstance(root, (list, tuple)):  # several folders of UnlabelledImages
        return [os.fspath(path) for path in root]
    root = os.fspath(root)
    prefix = cfg.get('data_prefix') or {}
    prefixes = list(prefix.values()) if isinstance(prefix, dict) else [prefix]
    if cfg.get('split') and not prefixes and not cfg.get('ann_file'):
        prefixes = [cfg['split']]  # mmpretrain.ImageNet finds ROOT/train by itself
    named = [name for name in [cfg.get('ann_file'), *prefixes] if isinstance(name, str) and name]
    return [root] * bool(root) + [osp.join(root, name) for name in named]


def _no_path(root: object) -> list:
    """What is no path in a ``data_root``, which may be None: most data sets need none."""
    roots = root if isinstance(root, (list, tuple)) else [] if root is None else [root]
    return [each for each in roots if not isinstance(each, (str, os.PathLike))]


def check_datasets(cfg: Config, loaders: Tuple[str, ...]) -> List[Finding]:
    """Look for the files and folders of all data sets that a run reads.

    Args:
        cfg (Config): Of MMPretrain or MMDetection.
        loaders (Tuple[str, ...]): For example ``('train_dataloader', 'val_dataloader')``.

    Returns:
        List[Finding]: An error per data set that is not there: the path, the expected layout and
        the option that points elsewhere.
    """
    findings = []
    for loader in loaders:
        if cfg.get(loader) is None:
            continue
        for key, dataset in leaf_datasets(cfg[loader], loader):
            if dataset.get('download', 'CIFAR' in str(dataset.get('type'))):
                continue  # MMPretrain fetches what is missing
            wrong = _no_path(dataset.get('data_root'))
            if wrong:
                findings.append(
                    Finding(
                        'error',
                        f'{key}.data_root must be a path, or several for UnlabelledImages, got '
                        f'{wrong[0]!r}. A folder whose name is a number: ./NAME',
                    )
                )
                continue
            missing = [
                path
                for path in _paths(dataset)
                if '://' not in path and not osp.exists(osp.expanduser(path))
            ]
            if missing:
                findings.append(
                    Finding(
                        'error',
                        f'data set not found: {missing[0]} (looked for in '
                        f'{osp.abspath(missing[0])}), named by {key}.\n'
                        f'Expected layout: {_layout(dataset)}.\n'
                        f'To point elsewhere: --cfg-options {key}.data_root=/your/data',
                    )
                )
    return findings


def check_work_dir(cfg: Config) -> List[Finding]:
    """Whether a run can write into its work dir.

    Args:
        cfg (Config): With ``work_dir``.

    Returns:
        List[Finding]: An error if it, or a part of its path, is a file, or may not be written.
    """
    path = osp.abspath(cfg.work_dir)
    while not osp.lexists(path):
        path = osp.dirname(path)
    if not osp.isdir(path):
        reason = f'{path} is not a folder'
    elif not os.access(path, os.W_OK | os.X_OK):
        reason = f'{path} may not be written'
    else:
        return []
    message = f'the work dir {cfg.work_dir} cannot be used: {reason}. Name another: --work-dir'
    return [Finding('error', message)]

"""Classes: the names of the config, of the files and of the evaluation, and the heads' numbers.

``mmdet.CocoDataset`` and ``mmdet.CocoMetric`` number the categories whose names stand in
``classes`` in the order of the *file*. One name that the file lacks moves every later one, and
two files in another order mean different classes by the same number; neither is an error there.
"""

import os.path as osp
from difflib import get_close_matches
from typing import Dict, Iterator, List, Sequence, Tuple

from mmengine.config import Config

from .class_names import config_line, difference, indented, some
from .class_sources import CocoFile, Source, coco_file
from .coco import PROBLEMS
from .files import leaf_datasets
from .finding import CheckError, Finding
from .heads import check_heads, heads

_TOOL = 'python tools/dataset_converters/check_coco.py'


def check_classes(cfg: Config, loaders: Tuple[str, ...]) -> List[Finding]:
    """Compare all places of a run that name or number its classes.

    Args:
        cfg (Config): Of MMPretrain, MMDetection or MMSegmentation.
        loaders (Tuple[str, ...]): Whose data sets the run reads.

    Returns:
        List[Finding]: Errors for what differs, with the lines to write; warnings for classes
        without objects, categories that the run leaves out, and objects that cannot be used.
    """
    scope = cfg.get('default_scope')
    sources = [
        Source(loader, key, dataset, scope)
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader')
        if cfg.get(loader) is not None and (loader in loaders or loader == 'train_dataloader')
        for key, dataset in leaf_datasets(cfg[loader], loader)
    ]
    findings: List[Finding] = []
    for source in sources:
        if isinstance(source.declared, str):
            lines = [
                config_line(source.key, f'dict(metainfo=dict(classes=({source.declared!r},)))')
            ]
            findings.append(
                Finding(
                    'error',
                    f'{source.key}: classes must be a list of names, got {source.declared!r}.\n'
                    f'Write:\n{indented(lines)}',
                )
            )
        elif source.loader in loaders:
            findings += _count_folders(source)
    if findings:
        return findings  # the rest would follow from it
    findings += _compare_sources(sources, loaders)
    with_files = [source for source in sources if source.annotation_file is not None]
    for source in with_files:
        if source.loader in loaders:
            findings += _check_coco(cfg, source, with_files)
    labelled = [source for source in sources if source.declared or source.folders]
    if labelled:
        findings += check_heads(cfg, labelled[0])
    return findings


def _compare_sources(sources: List[Source], loaders: Tuple[str, ...]) -> Iterator[Finding]:
    """All data sets of a run have the classes of the first, by name and by folder."""
    for what in ('declared', 'folders'):
        named = [source for source in sources if getattr(source, what)]
        for other in named[1:]:
            first = named[0]
            told = difference(getattr(first, what), getattr(other, what), first.key, other.key)
            if not told or other.loader not in loaders:
                continue
            if what == 'folders':
                told += (
                    f'\n(class folders in {first.pictures} and {other.pictures}; folders are '
                    'numbered in alphabetical order)\nEvery class needs a folder in both, an empty '
                    'one where it has no picture; a folder that is no class must go.'
                )
            else:
                value = f'dict(classes={first.declared!r})'
                told += f'\nWrite:\n{indented([config_line(other.key + ".metainfo", value)])}'
            yield Finding('error', f'the classes of two data sets differ.\n{told}')


def _count_folders(source: Source) -> Iterator[Finding]:
    """MMPretrain asserts that there are as many class folders as names, without naming any."""
    names, folders = source.declared, source.folders
    if names and folders and len(names) != len(folders):
        yield Finding(
            'error',
            f'{source.key}: {source.kind.__name__} has {len(names)} names '
            f'({some(names)}), but {source.pictures} has {len(folders)} class folders '
            f'({some(folders)}).\nThe folders alone name the classes of CustomDataset without '
            'metainfo.classes',
        )


def _check_coco(cfg: Config, source: Source, sources: List[Source]) -> List[Finding]:
    """A data set's annotation file, and that of its evaluator."""
    run = 'train' if source.loader == 'train_dataloader' else 'test'
    evaluators = list(_evaluators(cfg, source.loader)) if run == 'test' else []
    masks = source.with_masks or any('segm' in e.get('metric', ()) for _, e in evaluators)
    path = source.annotation_file
    files: Dict[str, str] = {path: source.key}
    for key, evaluator in evaluators:
        if osp.isfile(evaluator['ann_file']) and not osp.samefile(evaluator['ann_file'], path):
            files[evaluator['ann_file']] = key
    findings: List[Finding] = []
    others = sum(other.loader == source.loader for other in sources) > 1
    images = None
    for path, key in files.items():
        try:
            file = coco_file(path, masks, source.pictures if key == source.key else '')
        except CheckError as error:
            return [*findings, Finding('error', f'{key}: {error}')]
        findings += _compare_names(cfg, source, file, key, sources)
        scored = any(not evaluator.get('format_only') for _, evaluator in evaluators)
        findings += _report_problems(source, file, key, run, others, scored)
        if images is not None and images != file.image_ids:
            missing, more = len(images - file.image_ids), len(file.image_ids - images)
            findings.append(
                Finding(
                    'error' if missing else 'warning',
                    f'{key}: {path} lacks {missing} images of {source.key} and has {more} that '
                    'are not in it, which count as images without a prediction',
                )
            )
        images = file.image_ids
    return findings


def _evaluators(cfg: Config, loader: str) -> Iterator[Tuple[str, dict]]:
    key = loader.replace('dataloader', 'evaluator')
    entries = cfg.get(key) or []
    several = not isinstance(entries, dict)
    for i, entry in enumerate(entries if several else [entries]):
        kind = str(entry.get('type', '')).rsplit('.', 1)[-1]
        if kind == 'CocoMetric' and entry.get('ann_file'):
            yield f'{key}.{i}' if several else key, entry


def _compare_names(
    cfg: Config, source: Source, file: CocoFile, key: str, sources: List[Source]
) -> Iterator[Finding]:
    classes, first = source.declared, sources[0]
    named = _named(file, classes)
    if named != classes:
        theirs = named if set(named) == set(classes) else file.classes
        told = difference(classes, theirs, 'classes', 'the file')
        if (
            source is first
            or _named(coco_file(first.annotation_file, first.with_masks, first.pictures), classes)
            != classes
        ):
            value = f'dict(classes={tuple(file.classes)!r})'
            lines = [config_line(f'{other.key}.metainfo', value) for other in sources]
            numbers = heads(cfg.model, cfg.get('default_scope'))
            lines += [config_line(head, str(len(file.classes))) for head, _ in numbers]
            mend = f'If the file is right, write:\n{indented(lines)}'
        else:
            mend = (
                "If the config is right, bring the file's categories into its order:\n    "
                f'{_TOOL} {file.path} {source.pictures} --like {first.annotation_file} '
                '--fix NEW.json'
            )
        yield Finding(
            'error',
            f'{key}: the categories of {file.path} are not the classes of the config.\n{told}\n'
            f'{mend}',
        )
        return
    empty = [name for name in classes if not file.objects[name]]
    if empty and len(empty) < len(classes):
        yield Finding('warning', f'{file.path}: no object of {some(empty)}')
    left = [name for name in file.classes if name not in classes and file.objects[name]]
    if left:
        told = f'{file.path}: not in classes and left out: {some(left)}'
        for name in left:
            plain = {str(word).lower(): word for word in empty}
            for near in get_close_matches(str(name).lower(), plain, 1):
                right = plain[near]
                told += (
                    f'\n{name!r} is near {right!r}, which has no object. If they are one class:\n'
                    f'    {_TOOL} {file.path} {source.pictures} '
                    f"--rename '{name}={right}' --fix NEW.json"
                )
        yield Finding('warning', told)


def _named(file: CocoFile, classes: Tuple[str, ...]) -> Tuple[str, ...]:
    """Categories in their order; one that ``classes`` does not name is left out by MMDetection."""
    return tuple(name for name in file.classes if name in classes)


def _report_problems(
    source: Source, file: CocoFile, key: str, run: str, others: bool, scored: bool
) -> Iterator[Finding]:
    """What would spoil the run, and what the run does with the rest.

    ``others`` says whether the loader has further data sets, so that one may be without objects;
    ``scored``, whether an evaluation compares predictions with the objects.
    """
    problems = dict(file.problems)
    nothing = problems.pop('no usable object', None)
    if nothing is None and not sum(file.objects[name] for name in source.declared or file.classes):
        nothing = ['none of the classes that is no crowd and not ignored']
    stops = {kind: f for kind, f in problems.items() if run in PROBLEMS[kind].stops}
    if nothing and run == 'train':
        told = f'{key}: {file.path}: no usable object: {nothing[0]}'
        if others:
            yield Finding('warning', f'{told}. The other data sets alone have objects to learn')
        else:
            stops['no usable object'] = nothing
    elif nothing and scored:
        yield Finding(
            'warning',
            f'{key}: {file.path}: no usable object: {nothing[0]}. Every score would be -1: nothing '
            'to compare predictions with',
        )
    found: Dict[str, Dict[str, Sequence[str]]] = {}
    for kind, places in problems.items():
        if kind not in stops:
            found.setdefault(PROBLEMS[kind].use, {})[kind] = places
    for level, means, kinds in (
        ('error', 'this would end the run, or spoil its result', stops),
        *(('warning', means, kinds) for means, kinds in found.items()),
    ):
        if kinds:
            listed = '; '.join(f'{kind}: {len(f)} ({f[0]})' for kind, f in kinds.items())
            yield Finding(
                level,
                f'{key}: {file.path}: {means}: {listed}. See and mend: {_TOOL} {file.path} '
                f'{source.pictures} --fix NEW.json',
            )

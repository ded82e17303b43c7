"""Look for what is wrong in a COCO-format data set before a run does.

    python tools/dataset_converters/check_coco.py /data/annotations/train.json /data/train
    python tools/dataset_converters/check_coco.py train.json images/ --fix train_fixed.json
    python tools/dataset_converters/check_coco.py val.json images/ --like train.json

Prints a table of problems with examples. The exit status is 0 if there are none, 1 if there are
any, and 2 if the file could not be checked or mended. ``--fix`` writes a copy without them: what
follows from the rest is written anew (area from the mask, ids, sizes, the boxes of photos that the
detector sees turned), and what does not is left out and counted. ``--like`` also compares the
categories with those of another file, and ``--fix`` brings them into its order; a name that may be
misspelt is renamed or kept with ``--rename``. Of a picture only the header is read, unless it has
an EXIF orientation; ``--decode`` reads all pixels.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.checks.coco import PROBLEMS, CocoChecker, compare_categories, read, rename


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='COCO instances file (.json)')
    parser.add_argument('images', type=Path, help='folder that file_name is relative to')
    parser.add_argument('--fix', type=Path, metavar='OUT.json', help='file for the mended copy')
    parser.add_argument(
        '--like', type=Path, metavar='TRAIN.json', help='file that the categories must agree with'
    )
    parser.add_argument(
        '--rename',
        action='append',
        default=[],
        metavar='OLD=NEW',
        help='category of another name in the mended copy; OLD=OLD keeps it; may be repeated',
    )
    parser.add_argument(
        '--boxes-only', action='store_true', help='for detectors without masks: none is looked at'
    )
    parser.add_argument(
        '--trust-sizes',
        action='store_true',
        help='where no box tells its frame (turned or resized photos): that of width and height',
    )
    parser.add_argument('--decode', action='store_true', help='read every pixel: slow and thorough')
    return parser.parse_args()


def check(args: argparse.Namespace) -> int:
    """Print what was found and write what is asked for; the exit status."""
    for path in (args.annotations, args.images, args.like):
        if path is not None and not path.exists():
            raise CheckError(f'{path} is not there')
    if not args.images.is_dir():
        raise CheckError(f'{args.images} is no folder')
    if args.fix is not None and args.fix.resolve() == args.annotations.resolve():
        raise CheckError('--fix must name another file: the original is kept')
    if args.fix is not None:
        _check_target(args.fix)
    names = dict(_pair(text) for text in args.rename)
    data = rename(read(args.annotations), names)
    checker = CocoChecker(data, args.images, args.decode, not args.boxes_only, args.trust_sizes)
    fixed, differences, doubts = checker.fixed, '', ''
    if args.like is not None:
        fixed, differences, doubts = compare_categories(checker, args.like, tuple(names.values()))
    numbers = ', '.join(
        f'{len(data[key])} {key}' for key in ('images', 'annotations', 'categories')
    )
    if not checker.problems and not differences:
        print(f'{args.annotations}: {numbers}, no problem found')
    else:
        parts = [f'{args.annotations}: {numbers}', differences]
        parts += [checker.table()] if checker.problems else []
        print('\n\n'.join(part for part in parts if part))
    if args.fix is not None:
        for key in ('images', 'annotations'):
            if data[key] and not fixed[key]:
                raise CheckError(
                    f'{args.fix} is not written: mending would leave no {key}. '
                    f'{_reason(checker, key, args)}'
                )
        if doubts:
            raise CheckError(
                f'{args.fix} is not written: {doubts}. If they are one class, give --rename '
                'OLD=NEW with both names; if not, --rename OLD=OLD'
            )
        args.fix.write_text(json.dumps(fixed))
        kept = ', '.join(f'{len(fixed[key])} {key}' for key in ('images', 'annotations'))
        print(f'\nwritten: {args.fix} with {kept}')
    return int(bool(checker.problems or differences))


def _check_target(path: Path) -> None:
    """Before the work: the mended copy can be written."""
    if path.is_dir():
        raise CheckError(f'--fix must name a file to write, {path} is a folder')
    if not path.parent.is_dir():
        raise CheckError(f'--fix {path} cannot be written: {path.parent} is no folder')
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CheckError(f'--fix {path} cannot be written: you have no right to')


def _pair(text: str) -> Tuple[str, str]:
    old, _, new = text.partition('=')
    if not old or not new.strip():
        raise CheckError(f'--rename takes OLD=NEW, two names of a category, got {text!r}')
    return old, new


def _reason(checker: CocoChecker, key: str, args: argparse.Namespace) -> str:
    """Why nothing is left, and what may help."""
    fix = {'images': 'drops the image', 'annotations': 'drops the annotation'}[key]
    kinds = [kind for kind in checker.problems if fix in PROBLEMS[kind].fix]
    kind = max(kinds, key=lambda kind: len(checker.problems[kind]), default='')
    if kind == 'missing file':
        return f'Is {args.images} the folder of these pictures?'
    if kind == 'no segmentation':
        return 'Boxes without masks need --boxes-only'
    return f'Most of them: {kind} ({len(checker.problems[kind])})' if kind else ''


def main() -> None:
    try:
        status = check(parse_args())
    except CheckError as error:
        print(f'error: {error}', file=sys.stderr)
        status = 2
    sys.exit(status)


if __name__ == '__main__':
    main()

"""Look for what is wrong in a COCO-format data set before a run does.

    python tools/dataset_converters/check_coco.py /data/annotations/train.json /data/train
    python tools/dataset_converters/check_coco.py train.json images/ --fix train_fixed.json

Prints a table of problems with examples; the exit status is 1 if there are any. ``--fix`` writes a
copy without them: boxes are cut at the border, sizes corrected, and what cannot be mended is
left out and counted. Images are opened by their header; ``--decode`` reads all pixels.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, List, Tuple

from PIL import Image

SHOWN = 3  # examples per problem
PROBLEMS = {  # name: what --fix does
    'duplicate image id': 'drops the later ones',
    'duplicate category id': 'drops the later ones',
    'duplicate annotation id': 'numbers them anew',
    'missing file': 'drops the image',
    'unreadable image': 'drops the image',
    'size differs': 'takes the size of the file',
    'annotation of no image': 'drops the annotation',
    'unknown category': 'drops the annotation',
    'empty box': 'drops the annotation',
    'box outside': 'drops the annotation',
    'box over the border': 'cuts the box',
    'degenerate polygon': 'drops the polygon',
    'no segmentation left': 'drops the annotation',
}


class Checker:
    """Problems of one annotation file, and a copy without them.

    Args:
        data (dict): The parsed file.
        folder (Path): Folder with the images.
        decode (bool): Read all pixels of each image.

    Attributes:
        problems (Dict[str, List[str]]): What was found, by kind.
        fixed (dict): ``data`` mended.
    """

    def __init__(self, data: dict, folder: Path, decode: bool = False) -> None:
        for key in ('images', 'annotations', 'categories'):
            entries = data.get(key)
            if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
                raise ValueError(f'{key} must be a list of objects, got {str(entries)[:60]}')
        self.problems: Dict[str, List[str]] = {}
        categories = self._unique(data['categories'], 'category')
        images = self._check_images(self._unique(data['images'], 'image'), folder, decode)
        annotations = [
            fixed
            for annotation in data['annotations']
            if (fixed := self._check_annotation(annotation, images, categories)) is not None
        ]
        self._number(annotations)
        self.fixed = {
            **data,
            'images': list(images.values()),
            'annotations': annotations,
            'categories': list(categories.values()),
        }

    def _found(self, problem: str, where: str) -> None:
        self.problems.setdefault(problem, []).append(where)

    def _unique(self, entries: List[dict], kind: str) -> Dict[int, dict]:
        kept = {}
        for entry in entries:
            if 'id' not in entry:
                raise ValueError(f'an entry of {kind} has no id: {str(entry)[:80]}')
            if entry['id'] in kept:
                self._found(f'duplicate {kind} id', str(entry['id']))
            else:
                kept[entry['id']] = entry
        return kept

    def _check_images(self, images: Dict[int, dict], folder: Path, decode: bool) -> Dict[int, dict]:
        kept = {}
        for key, image in images.items():
            name = image.get('file_name')
            file = folder / str(name)
            if not name or not file.is_file():
                self._found('missing file', f'{name} (image {key})')
                continue
            try:
                with Image.open(file) as opened:
                    size = opened.size
                    if decode:
                        opened.load()
            except Exception as error:  # Pillow raises many kinds
                self._found('unreadable image', f'{name}: {error}')
                continue
            if (image.get('width'), image.get('height')) != size:
                given = f'{image.get("width")} x {image.get("height")}'
                self._found('size differs', f'{name}: {given}, file {size[0]} x {size[1]}')
                image = {**image, 'width': size[0], 'height': size[1]}
            kept[key] = image
        self._gone = set(images) - set(kept)
        return kept

    def _check_annotation(self, annotation: dict, images: dict, categories: dict):
        """The annotation, mended, or None."""
        where = f'annotation {annotation.get("id")}'
        image_id = annotation.get('image_id')
        if image_id in self._gone:
            return None  # counted with its image
        if image_id not in images:
            return self._found('annotation of no image', f'{where}: image {image_id}')
        if annotation.get('category_id') not in categories:
            return self._found('unknown category', f'{where}: {annotation.get("category_id")}')
        image = images[image_id]
        box = self._check_box(annotation.get('bbox'), image, where)
        if box is None:
            return None
        annotation = {**annotation, 'bbox': box}
        segmentation = annotation.get('segmentation')
        if isinstance(segmentation, list):
            polygons = [p for p in segmentation if self._is_polygon(p, where)]
            if segmentation and not polygons:
                return self._found('no segmentation left', where)
            annotation['segmentation'] = polygons
        return annotation

    def _check_box(self, box, image: dict, where: str):
        """x, y, width, height in pixels inside the image, or None."""
        where = f'{where} of {image["file_name"]}: {box}'
        numbers = isinstance(box, list) and len(box) == 4
        if not numbers or not all(isinstance(n, (int, float)) and n == n for n in box):
            return self._found('empty box', where)
        x, y, width, height = box
        if width <= 0 or height <= 0:
            return self._found('empty box', where)
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, image['width']), min(y + height, image['height'])
        if right <= left or bottom <= top:
            return self._found('box outside', where)
        # a pixel of tolerance: annotators round
        if min(x, y) < -1 or x + width > image['width'] + 1 or y + height > image['height'] + 1:
            self._found('box over the border', where)
            return [left, top, right - left, bottom - top]
        return box

    def _is_polygon(self, polygon, where: str) -> bool:
        """At least three points that enclose an area."""
        points = list(zip(polygon[::2], polygon[1::2])) if isinstance(polygon, list) else []
        area = sum(a * d - b * c for (a, b), (c, d) in zip(points, points[1:] + points[:1])) / 2
        if len(points) < 3 or len(polygon) % 2 or abs(area) < 1e-6:
            self._found('degenerate polygon', f'{where}: {len(points)} points, area {abs(area):g}')
            return False
        return True

    def _number(self, annotations: List[dict]) -> None:
        counts = Counter(annotation.get('id') for annotation in annotations)
        repeated = [key for key, number in counts.items() if number > 1 or key is None]
        for key in repeated:
            self._found('duplicate annotation id', f'{key}, {counts[key]} times')
        if repeated:
            for number, annotation in enumerate(annotations, 1):
                annotation['id'] = number

    def table(self) -> str:
        lines = [('problem', 'number', 'examples', '--fix'), ('---',) * 4]
        for problem, fix in PROBLEMS.items():
            found = self.problems.get(problem)
            if found:
                examples = '; '.join(found[:SHOWN]) + ('; ...' if len(found) > SHOWN else '')
                lines.append((problem, str(len(found)), examples, fix))
        return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='COCO instances file (.json)')
    parser.add_argument('images', type=Path, help='folder that file_name is relative to')
    parser.add_argument('--fix', type=Path, metavar='OUT.json', help='file for the mended copy')
    parser.add_argument('--decode', action='store_true', help='read every pixel: slow and thorough')
    return parser.parse_args()


def check(args: argparse.Namespace) -> Tuple[Checker, dict]:
    for path in (args.annotations, args.images):
        if not path.exists():
            sys.exit(f'error: {path} is not there')
    if args.fix is not None and args.fix.resolve() == args.annotations.resolve():
        sys.exit('error: --fix must name another file: the original is kept')
    try:
        data = json.loads(args.annotations.read_text())
        return Checker(data, args.images, args.decode), data
    except ValueError as error:  # of json, too
        sys.exit(f'error: {args.annotations}: {error}')


def main() -> None:
    args = parse_args()
    checker, data = check(args)
    numbers = ', '.join(
        f'{len(data[key])} {key}' for key in ('images', 'annotations', 'categories')
    )
    if not checker.problems:
        print(f'{args.annotations}: {numbers}, no problem found')
    else:
        print(f'{args.annotations}: {numbers}\n\n{checker.table()}')
    if args.fix is not None:
        args.fix.write_text(json.dumps(checker.fixed))
        kept = ', '.join(f'{len(checker.fixed[key])} {key}' for key in ('images', 'annotations'))
        print(f'\nwritten: {args.fix} with {kept}')
    sys.exit(bool(checker.problems))


if __name__ == '__main__':
    main()

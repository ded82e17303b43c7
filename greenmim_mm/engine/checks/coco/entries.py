"""Reading an annotation file; its ids, categories and images."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Dict, Iterable, List, Optional

from ..finding import CheckError
from .frames import Move, find_move, is_box, vote
from .masks import Found, is_number
from .pictures import Picture, find_file, look

_LONGEST = 2**20  # pixels of a side that OpenCV reads
PARTS = ('images', 'annotations', 'categories')


def read(path: Path, without_annotations: bool = False) -> dict:
    """Parse a COCO instances file.

    Args:
        path (Path): The file.
        without_annotations (bool): Whether a file of images and categories alone will do, as of
            COCO's test set; it gets an empty list. Defaults to False.

    Raises:
        CheckError: If it is none, with what it is instead.
    """
    try:
        data = json.loads(Path(path).read_bytes())  # UTF-8, 16 or 32
    except (ValueError, OSError) as error:
        raise CheckError(f'{path} cannot be read as JSON: {error}') from error
    if not isinstance(data, dict):
        hint = ''
        if isinstance(data, list) and data and isinstance(data[0], dict) and 'score' in data[0]:
            hint = '; this looks like a file of predictions'
        raise CheckError(
            f'{path} must be an object with {", ".join(PARTS)}, got a {type(data).__name__}{hint}'
        )
    if without_annotations:
        data.setdefault('annotations', [])
    for part in PARTS:
        entries = data.get(part)
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise CheckError(f'{path}: {part} must be a list of objects, got {str(entries)[:60]}')
    return data


def number(value):
    """The whole number that an id means, or a text that stands for another value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return json.dumps(value, sort_keys=True)


class Keys:
    """Keys of ids: what :func:`number` says, unless different ids mean the same number.

    ``"1"`` and ``1`` are one id where the file has only one of them. Of ``"01"`` and ``"001"``, or
    ``2`` and ``"2"``, each is its own.

    Args:
        entries (Iterable[dict]): Everything that has an id of this kind.
    """

    def __init__(self, entries: Iterable[dict]) -> None:
        ids = [entry.get('id') for entry in entries]
        texts = {value for value in ids if isinstance(value, str)}
        forms = Counter(map(number, texts))
        if texts:
            forms.update({number(value) for value in ids if not isinstance(value, str)})
        self._several = {key for key, times in forms.items() if times > 1}

    def __call__(self, value):
        key = number(value)
        return self._exact(value, key) if key in self._several else key

    @staticmethod
    def _exact(value, key):
        return json.dumps(value) if isinstance(value, str) else key


def unique(entries: List[dict], kind: str, keys: Keys, found: Found) -> Dict[object, dict]:
    """Entries with whole numbers as ids, by the key of the id they had."""
    kept = {}
    for entry in entries:
        key = keys(entry.get('id'))
        if key != entry.get('id') or type(entry.get('id')) is not int:
            found('id is no whole number', f'{kind} {str(entry.get("id"))[:40]}')
        if key in kept:
            found(f'duplicate {kind} id', str(key))
        else:
            kept[key] = entry
    free = max([key for key in kept if isinstance(key, int)], default=0) + 1
    for key, entry in kept.items():
        if isinstance(key, int):
            kept[key] = {**entry, 'id': key}
        else:
            kept[key], free = {**entry, 'id': free}, free + 1
    return kept


def check_categories(categories: Dict[object, dict], found: Found) -> Dict[object, dict]:
    """Every category has a name of its own."""
    first: Dict[str, dict] = {}
    for key, category in categories.items():
        name = category.get('name')
        if not isinstance(name, str) or not name.strip():
            known = is_number(name)
            kind = 'category name is no text' if known else 'category without name'
            found(kind, f'{category["id"]}: {name!r}')
            category = {**category, 'name': str(name) if known else f'category_{category["id"]}'}
        if category['name'] in first:
            found('duplicate category name', f'{category["name"]} (category {category["id"]})')
        categories[key] = first.setdefault(category['name'], category)
    return categories


class Images:
    """The images that are kept, and how their boxes get into the detector's frame.

    Args:
        images (Dict[object, dict]): Of :func:`unique`.
        boxes (Dict[object, List[list]]): Well-formed boxes by the same keys.
        folder (Path, optional): With the pictures; None opens none.
        every_pixel (bool): Decode every picture.
        trust_sizes (bool): Whether boxes lie in the frame of width and height where none tells.
        found (Found): Told of every problem.

    Attributes:
        kept (Dict[object, dict]): Images by key, of duplicates the first.
        moves (Dict[object, Tuple[Move, Size]]): Move and stated frame by key.
    """

    def __init__(
        self,
        images: Dict[object, dict],
        boxes: Dict[object, List[list]],
        folder: Optional[Path],
        every_pixel: bool,
        trust_sizes: bool,
        found: Found,
    ) -> None:
        self.kept: Dict[object, dict] = {}
        self.moves = {}
        self._found, self._trust_sizes = found, trust_sizes
        pictures: Dict[object, Picture] = {}
        for key, image in images.items():
            if not isinstance(image.get('file_name'), str) or not image['file_name']:
                found('no file name', f'image {image["id"]}: {str(image.get("file_name"))[:40]}')
                continue
            if folder is not None:
                image = self._find(image, folder)
                picture = self._look(image, folder, every_pixel) if image else None
                if picture is None:
                    continue
                pictures[key] = picture
            elif not _has_size(image):
                found('no size', f'{image["file_name"]} (image {image["id"]})')
                continue
            self.kept[key] = image
        if folder is not None:
            self._fit_frames(pictures, boxes)
        self._unite()

    def _find(self, image: dict, folder: Path) -> Optional[dict]:
        name = image['file_name']
        there = find_file(folder, name)
        if there is None:
            return self._found('missing file', f'{name} (image {image["id"]})')
        if there != name:
            self._found('file name with folders in front', f'{name}: {there} is there')
        return {**image, 'file_name': there}

    def _look(self, image: dict, folder: Path, every_pixel: bool) -> Optional[Picture]:
        try:
            return look(folder / image['file_name'], every_pixel)
        except ValueError as error:
            return self._found('unreadable image', f'{image["file_name"]}: {str(error)[:120]}')

    def _fit_frames(self, pictures: Dict[object, Picture], boxes: Dict[object, List[list]]) -> None:
        """Sizes become those of the pictures; boxes of the other frame get their move.

        Which frame the boxes are in is a property of the tool that wrote the file: the pictures
        whose boxes tell decide for all of their kind.
        """
        moves: Dict[object, Optional[Move]] = {}
        votes, upright = defaultdict(set), {}
        for key, picture in pictures.items():
            image = self.kept[key]
            if not _has_size(image):
                self._found('no size', f'{image["file_name"]} (image {image["id"]})')
            elif (stated := (image['width'], image['height'])) != picture.size:
                moves[key] = move = find_move(stated, picture)
                votes[move and move.kind].add(vote(boxes[key], stated, picture.size))
            elif picture.turn is not None:
                upright[key] = vote(boxes[key], stated[::-1], stated)
        if {*upright.values()} - {None} == {'stated'}:  # their sizes are right, no box is
            for key in upright:
                stated, picture = pictures[key].size[::-1], pictures[key]
                self._found('boxes of the unturned picture', self.kept[key]['file_name'])
                self.moves[key] = find_move(stated, picture), stated
        for key, move in moves.items():
            image, picture = self.kept[key], pictures[key]
            stated = (image['width'], image['height'])
            told = votes[move and move.kind] - {None}
            if self._trust_sizes and not told:
                told = {'stated'}
            where = '{}: {} x {}, the detector sees {} x {}'.format(
                image['file_name'], *stated, *picture.size
            )
            if move is None or told == {'seen'} or not boxes[key]:
                self._found('size differs', where)
            elif told == {'stated'}:
                turned = move.kind == 'turned'
                kind = 'boxes of the unturned picture' if turned else 'boxes of another size'
                self._found(kind, where)
                self.moves[key] = move, stated
            else:
                self._found('boxes of an unclear frame', where)
                del self.kept[key]
        for key in self.kept:
            width, height = pictures[key].size
            self.kept[key] = {**self.kept[key], 'width': width, 'height': height}

    def _unite(self) -> None:
        """One image per file."""
        first: Dict[str, dict] = {}
        for key, image in self.kept.items():
            name = image['file_name']
            if name in first:
                self._found('duplicate file name', f'{name} (image {image["id"]})')
            self.kept[key] = first.setdefault(name, image)


def _has_size(image: dict) -> bool:
    sides = (image.get('width'), image.get('height'))
    return all(is_number(side) and 0 < side <= _LONGEST and side == int(side) for side in sides)


def boxes_by_image(annotations: List[dict], keys: Keys) -> Dict[object, List[list]]:
    """Well-formed boxes by the key of the image's id."""
    boxes = defaultdict(list)
    for annotation in annotations:
        if is_box(annotation.get('bbox')):
            boxes[keys(annotation.get('image_id'))].append(annotation['bbox'])
    return boxes

"""The objects of an annotation file: boxes, masks, areas."""

from typing import Callable, Dict, List, Optional, Tuple

from . import masks
from .entries import Images, Keys
from .frames import apply, fits, is_box
from .masks import Found, is_number

Keyed = Tuple[object, object, dict]  # keys of the image and the category, annotation
_FLAGS = {'0': 0, '1': 1, 'false': 0, 'true': 1, '0.0': 0, '1.0': 1}


def trained_on(annotation: dict, image: dict) -> bool:
    """Whether ``mmdet.CocoDataset`` makes a training target of it, as the file is."""
    box, area = annotation.get('bbox'), annotation.get('area')
    if not is_box(box) or not is_number(area) or area <= 0:
        return False
    if annotation.get('ignore') or annotation.get('iscrowd') or min(box[2:]) < 1:
        return False
    x, y, width, height = box
    return min(x + width, image['width']) > max(x, 0) and min(y + height, image['height']) > max(
        y, 0
    )


def box_form(annotations: List[Keyed], images: Images, with_masks: bool) -> str:
    """How all boxes of a file are to be read: 'pixels', '0..1', or 'corners'."""
    pairs = [
        (annotation['bbox'], images.kept[key])
        for key, _, annotation in annotations
        if is_box(annotation.get('bbox')) and key in images.kept
    ]
    boxes = [box for box, _ in pairs]
    if boxes and all(fits([box], (1, 1), 0.01) and min(box[2:]) >= 0 for box in boxes):
        return '0..1'
    if not with_masks and all(box[2] > box[0] and box[3] > box[1] for box in boxes):
        corners = [[x, y, right - x, bottom - y] for x, y, right, bottom in boxes]
        sizes = [(image['width'], image['height']) for _, image in pairs]
        over = sum(not fits([box], size) for box, size in zip(boxes, sizes))
        inside = all(fits([box], size) for box, size in zip(corners, sizes))
        if inside and over >= max(3, len(boxes) / 4):
            return 'corners'
    return 'pixels'


class Annotations:
    """The annotations that are kept, mended.

    Args:
        annotations (List[tuple]): Of the file, each behind the keys of its image and category.
        images (Images): Those that are kept.
        image_keys (frozenset): Of all images, the dropped ones, too.
        categories (Dict[object, dict]): Categories by key.
        with_masks (bool): Whether every object needs a segmentation.
        found (Found): Told of every problem.

    Attributes:
        kept (List[dict]): Mended annotations.
    """

    def __init__(
        self,
        annotations: List[Keyed],
        images: Images,
        image_keys: frozenset,
        categories: Dict[object, dict],
        with_masks: bool,
        found: Found,
    ) -> None:
        self._images, self._image_keys, self._categories = images, image_keys, categories
        self._with_masks, self._found = with_masks, found
        self._form = box_form(annotations, images, with_masks)
        self.kept = [fixed for a in annotations if (fixed := self._check(*a)) is not None]
        self._number()

    def _check(self, key, category_key, annotation: dict) -> Optional[dict]:
        where = f'annotation {annotation.get("id")}'
        for name in ('image_id', 'category_id'):
            if name in annotation and type(annotation[name]) is not int:
                self._found('id is no whole number', f'{where}: {name} {annotation[name]!r}'[:60])
        if key not in self._image_keys:
            return self._found('annotation of no image', f'{where}: image {key}')
        if key not in self._images.kept:
            return None  # counted with its image
        if category_key not in self._categories:
            return self._found('unknown category', f'{where}: {annotation.get("category_id")}')
        image = self._images.kept[key]
        where = f'{where} of {image.get("file_name")}'
        if key in self._images.moves:
            annotation = apply(self._images.moves[key][0], annotation, self._images.moves[key][1])
        annotation = {
            **annotation,
            'image_id': image['id'],
            'category_id': self._categories[category_key]['id'],
        }
        annotation = self._check_shapes(annotation, image, where)
        if annotation is not None:
            self._check_numbers(annotation, image, where)
        return annotation

    def _check_shapes(self, annotation: dict, image: dict, where: str) -> Optional[dict]:
        """Box and mask, in pixels inside the image, or None."""
        size = image['width'], image['height']
        box = annotation.get('bbox') if is_box(annotation.get('bbox')) else None
        if box is not None and self._form == '0..1':
            self._found('box in 0..1', f'{where}: {box}')
            box = [n * side for n, side in zip(box, size * 2)]
            if is_number(annotation.get('area')) and 0 < annotation['area'] <= 1:
                annotation['area'] *= size[0] * size[1]
            annotation['segmentation'] = _scale(annotation.get('segmentation'), size)
        elif box is not None and min(box[2:]) > 3:  # pixels: no mask of it lies in 0..1
            given = annotation.get('segmentation')
            scaled = _scale(given, size)
            if scaled != given and all(a is not b for a, b in zip(scaled, given)):
                self._found('polygon in 0..1', where)
                annotation['segmentation'] = scaled
        edges = None
        if self._with_masks:
            given = annotation.get('segmentation')
            mask = masks.mend(given, size, box, where, self._found)
            if mask is None:
                return None
            annotation['segmentation'], edges = mask, masks.extent(mask)
        box = self._check_box(annotation.get('bbox'), box, edges, size, where)
        return None if box is None else {**annotation, 'bbox': box}

    def _check_box(self, given, box, edges, size: masks.Size, where: str) -> Optional[list]:
        """x, y, width, height; ``edges`` are those of the mask."""
        where = f'{where}: {str(given)[:60]}'
        of_mask = edges and [*edges[:2], edges[2] - edges[0], edges[3] - edges[1]]
        if box is None or min(box[2:]) <= 0:
            self._found('no box' if box is None else 'empty box', where)
            if of_mask is None or min(of_mask[2:]) < 1:
                return None
            box = of_mask
        if self._form == 'corners' or (edges and _is_meant_as(_of_corners, box, edges)):
            self._found('box as corners', where)
            box = _of_corners(box)
        elif edges and _is_meant_as(_of_middle, box, edges):
            self._found('box by its middle', where)
            box = _of_middle(box)
        x, y, width, height = box
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, size[0]), min(y + height, size[1])
        if right <= left or bottom <= top:
            return self._found('box outside', where)
        if edges and _overlap(box, edges) < 0.5:
            return self._found('box and mask disagree', where)
        if min(width, height) < 1:
            return self._found('box below a pixel', where)
        if not fits([box], size):
            self._found('box over the border', where)
            return [left, top, right - left, bottom - top]
        return box

    def _check_numbers(self, annotation: dict, image: dict, where: str) -> None:
        area, size = annotation.get('area'), (image['width'], image['height'])
        mask = annotation['segmentation'] if self._with_masks else None
        if not is_number(area) or area <= 0:
            self._found('area 0' if is_number(area) else 'no area', f'{where}: {area}')
            annotation['area'] = _pixels(annotation['bbox'], mask, size)
        elif _is_wrong(area, annotation['bbox'], mask, size):
            annotation['area'] = _pixels(annotation['bbox'], mask, size)
            self._found('area differs', f'{where}: {area}, it has {annotation["area"]:g} pixels')
        crowd = annotation.get('iscrowd')
        if crowd is None:
            self._found('no iscrowd', where)
            annotation['iscrowd'] = 0
        elif not (is_number(crowd) or isinstance(crowd, bool)) or crowd not in (0, 1):
            self._found('iscrowd is not 0 or 1', f'{where}: {crowd!r}')
            annotation['iscrowd'] = _FLAGS.get(str(crowd).strip().lower(), 0)

    def _number(self) -> None:
        """Ids are whole numbers from 1, each once: pycocotools takes 0 for "no match"."""
        keys, key_of = {}, Keys(self.kept)
        wrong = False
        for annotation in self.kept:
            given = annotation.get('id')
            key = key_of(given)
            keys[key] = keys.get(key, 0) + 1
            if type(given) is not int:
                self._found('id is no whole number', f'annotation {str(given)[:40]}')
                wrong = True
            elif given == 0:
                self._found('annotation id 0', f'of image {annotation["image_id"]}')
                wrong = True
        for key, times in keys.items():
            if times > 1:
                self._found('duplicate annotation id', f'{key}, {times} times')
                wrong = True
        if wrong:
            for i, annotation in enumerate(self.kept, 1):
                annotation['id'] = i


def _scale(segmentation, size: masks.Size):
    """Polygons of 0..1 in pixels; others as they are."""
    if not isinstance(segmentation, list):
        return segmentation
    return [
        [n * size[i % 2] for i, n in enumerate(polygon)]
        if isinstance(polygon, list)
        and polygon
        and all(is_number(n) and -0.01 <= n <= 1.01 for n in polygon)
        else polygon
        for polygon in segmentation
    ]


def _pixels(box: list, mask: Optional[masks.Segmentation], size: masks.Size) -> float:
    """Area of the mask, or of the box where there is none."""
    return (masks.area(mask, size) if mask is not None else 0) or float(box[2] * box[3])


def _is_wrong(area, box: list, mask: Optional[masks.Segmentation], size: masks.Size) -> bool:
    """An area that no counting gives: tools count polygons, pixels or the box, all of which pass.

    What reaches from one edge of its box to the other has as many pixels as the longer side.
    """
    whole = box[2] * box[3]
    if area > 2 * whole + 10 or 2 * area + 10 < max(box[2:]):
        return True
    # only a small part of the box: rare enough to count
    return mask is not None and 8 * area < whole and 2 * area + 10 < masks.area(mask, size)


def _is_meant_as(reading: Callable[[list], list], box: list, edges: Tuple[float, ...]) -> bool:
    """The mask fits the box if it is read so, and not as x, y, width, height."""

    def off(x, y, width, height):
        return max(abs(a - b) for a, b in zip((x, y, x + width, y + height), edges))

    return off(*reading(box)) <= 2 < off(*box)


def _of_corners(box: list) -> list:
    x, y, right, bottom = box
    return [x, y, right - x, bottom - y]


def _of_middle(box: list) -> list:
    x, y, width, height = box
    return [x - width / 2, y - height / 2, width, height]


def _overlap(box: list, edges: Tuple[float, ...]) -> float:
    """Share of the smaller one that lies in the other: a mask may lack parts of its object."""
    x, y, width, height = box
    left, top, right, bottom = edges
    across = max(0, min(x + width, right) - max(x, left))
    down = max(0, min(y + height, bottom) - max(y, top))
    smaller = min(width * height, (right - left) * (bottom - top))
    return across * down / smaller if smaller > 0 else 0.0

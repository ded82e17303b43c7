"""Boxes that were drawn in another frame than the one that the detector sees.

A photo with EXIF orientation 5 to 8 has two frames, as it is stored and upright; a picture that
was resized after it had been annotated has two sizes. Boxes of the other frame are recognised by
reaching over the border of this one, and are moved.
"""

import contextlib
from typing import Callable, Iterable, List, NamedTuple, Optional

import numpy as np

from .masks import Size, decode, encode, is_number
from .pictures import Picture


class Move(NamedTuple):
    """From the frame that the annotation file states to the one that the detector sees."""

    kind: str  # 'turned' or 'scaled'
    points: Callable[[np.ndarray], np.ndarray]  # N x 2 -> N x 2
    mask: Callable[[np.ndarray], np.ndarray]  # H x W -> H' x W'


def find_move(stated: Size, picture: Picture) -> Optional[Move]:
    """How boxes would get from the stated frame into the picture's, if there is a way."""
    (width, height), (new_width, new_height) = stated, picture.size
    if picture.turn is not None and stated == picture.size[::-1]:
        turn = picture.turn

        def points(xy: np.ndarray) -> np.ndarray:
            x, y = xy.T
            x, y = (x, y) if turn in (5, 6) else (width - x, y)
            return np.stack([height - y if turn in (6, 7) else y, x], 1)

        def mask(array: np.ndarray) -> np.ndarray:
            array = array if turn in (5, 6) else array[:, ::-1]
            return (array[::-1] if turn in (6, 7) else array).T

        return Move('turned', points, mask)
    if abs(width * new_height - height * new_width) > max(*stated, *picture.size):
        return None
    scale = np.array([new_width / width, new_height / height])

    def shrink(array: np.ndarray) -> np.ndarray:
        rows = ((np.arange(new_height) + 0.5) / scale[1]).astype(int)
        columns = ((np.arange(new_width) + 0.5) / scale[0]).astype(int)
        return array[rows][:, columns]

    return Move('scaled', lambda xy: xy * scale, shrink)


def is_box(box) -> bool:
    """Four finite numbers."""
    if not isinstance(box, list) or len(box) != 4:
        return False
    x, y, width, height = box
    return is_number(x) and is_number(y) and is_number(width) and is_number(height)


def fits(boxes: Iterable[list], size: Size, pixels: float = 1) -> bool:
    """All boxes lie inside the frame; annotators round, so a pixel over the border is inside."""
    return all(
        min(x, y) >= -pixels and x + w <= size[0] + pixels and y + h <= size[1] + pixels
        for x, y, w, h in boxes
    )


def vote(boxes: List[list], stated: Size, seen: Size) -> Optional[str]:
    """The frame in which these boxes lie: 'stated', 'seen', or None if both or none would do."""
    in_stated, in_seen = fits(boxes, stated), fits(boxes, seen)
    return None if in_stated == in_seen else 'stated' if in_stated else 'seen'


def apply(move: Move, annotation: dict, stated: Size) -> dict:
    """The annotation with box, segmentation and keypoints moved."""
    moved = dict(annotation)
    box = annotation.get('bbox')
    if is_box(box):
        x, y, width, height = box
        corners = move.points(np.array([[x, y], [x + width, y + height]], float))
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        moved['bbox'] = [float(n) for n in (left, top, right - left, bottom - top)]
    segmentation = annotation.get('segmentation')
    if isinstance(segmentation, list):
        moved['segmentation'] = [_move_polygon(polygon, move) for polygon in segmentation]
    elif isinstance(segmentation, dict) and segmentation.get('size') == [stated[1], stated[0]]:
        with contextlib.suppress(ValueError):  # a broken RLE, which is reported later
            moved['segmentation'] = encode(move.mask(decode(segmentation)))
    keypoints = annotation.get('keypoints')
    triples = isinstance(keypoints, list) and len(keypoints) % 3 == 0
    if triples and all(is_number(n) for n in keypoints):
        points = np.array(keypoints, float).reshape(-1, 3)
        points[:, :2] = np.where(points[:, 2:] > 0, move.points(points[:, :2]), 0)
        moved['keypoints'] = points.ravel().tolist()
    if move.kind == 'scaled':
        moved.pop('area', None)  # follows from the mask
    return moved


def _move_polygon(polygon, move: Move):
    numbers = isinstance(polygon, list) and all(is_number(n) for n in polygon)
    if not numbers or len(polygon) % 2:
        return polygon  # reported later
    return move.points(np.array(polygon, float).reshape(-1, 2)).ravel().tolist()

"""Draw a small instance segmentation set in COCO format, and unlabelled images of the same kind.

    python tools/dataset_converters/make_toy_coco.py data/toy_coco

Textured objects of four categories (a category is an outline and a kind of texture; colour,
size, rotation and texture scale are free) overlap on textured backgrounds. The images are
a function of the arguments alone.

    OUT/annotations/instances_train.json   OUT/train/*.jpg        labelled
    OUT/annotations/instances_val.json     OUT/val/*.jpg          labelled
                                           OUT/unlabelled/*.jpg   for pre-training
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

import cv2
import numpy as np

from greenmim_mm.engine.errors import run_or_explain

CATEGORIES = ('disc', 'square', 'triangle', 'ring')


def _colour(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(20, 235, 3)


def _noise(rng: np.random.Generator, height: int, width: int, blob: float) -> np.ndarray:
    """Smooth noise in 0..1 with blobs of about ``blob`` pixels."""
    coarse = rng.random((int(height / blob) + 2, int(width / blob) + 2), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _pattern(kind: str, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Texture of a category, of shape height x width, in 0..1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 10)
    u = (x * np.cos(angle) + y * np.sin(angle)) / period
    v = (-x * np.sin(angle) + y * np.cos(angle)) / period
    if kind == 'disc':  # stripes
        return (np.sin(2 * np.pi * u) > 0).astype(np.float32)
    if kind == 'square':  # checkerboard
        return ((np.floor(u) + np.floor(v)) % 2).astype(np.float32)
    if kind == 'triangle':  # dots
        return ((u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.09).astype(np.float32)
    return ((u % 1 < 0.25) | (v % 1 < 0.25)).astype(np.float32)  # ring: grid lines


def _paint(pattern: np.ndarray, rng: np.random.Generator, contrast: float) -> np.ndarray:
    """Two colours, mixed by the pattern: height x width x 3."""
    first = _colour(rng)
    second = first + contrast * (_colour(rng) - first)
    if np.abs(second - first).max() < 60 * contrast:
        second = first + 60 * contrast * np.where(first > 128, -1, 1)
    return (first + pattern[:, :, None] * (second - first)).astype(np.float32)


def _outline(kind: str, rng: np.random.Generator, radius: float) -> List[np.ndarray]:
    """Corner points around the origin; a second contour is a hole."""

    def polygon(corners):
        angle = 2 * np.pi * np.arange(corners) / corners
        return np.stack([np.cos(angle), np.sin(angle)], 1)

    contours = {
        'disc': [polygon(48)],
        'square': [polygon(4)],
        'triangle': [polygon(3)],
        'ring': [polygon(48), 0.5 * polygon(48)],
    }[kind]
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.array([1.0, rng.uniform(0.75, 1.0)])
    return [radius * (contour * stretch) @ turn.T for contour in contours]


def draw_image(
    rng: np.random.Generator, size: int
) -> Tuple[np.ndarray, List[Tuple[int, np.ndarray]]]:
    """One image and its objects.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (int): Side in pixels.

    Returns:
        Tuple[np.ndarray, list]: RGB image, uint8 of shape size x size x 3, and per object
        its category index and the bool mask of its visible part.
    """
    image = _paint(_noise(rng, size, size, size / rng.integers(3, 12)), rng, contrast=0.5)
    objects: List[Tuple[int, np.ndarray]] = []
    for _ in range(int(rng.integers(2, 6))):
        category = int(rng.integers(len(CATEGORIES)))
        kind = CATEGORIES[category]
        radius = size * np.exp(rng.uniform(np.log(0.09), np.log(0.28)))
        centre = rng.uniform(0.6 * radius, size - 0.6 * radius, 2)
        mask = np.zeros((size, size), np.uint8)
        contours = [np.round(c + centre).astype(np.int32) for c in _outline(kind, rng, radius)]
        cv2.fillPoly(mask, contours, 1)  # even-odd: the second contour is a hole
        inside = mask.astype(bool)
        x, y, width, height = cv2.boundingRect(mask)
        box = slice(y, y + height), slice(x, x + width)
        texture = _paint(_pattern(kind, rng, height, width), rng, contrast=1.0)
        image[box][inside[box]] = texture[inside[box]]
        objects = [(c, m & ~inside) for c, m in objects] + [(category, inside)]
    visible = [(c, m) for c, m in objects if m.sum() >= 40]
    image = cv2.GaussianBlur(image, (3, 3), 0.6)
    image += 1.5 * rng.standard_normal((size, size, 1), dtype=np.float32)  # grain
    return image.clip(0, 255).astype(np.uint8), visible


def _annotation(mask: np.ndarray) -> Dict:
    """Area, box and run-length encoding (uncompressed COCO) of a mask."""
    rows, cols = np.nonzero(mask)
    x, y = int(cols.min()), int(rows.min())
    column_major = mask.T.reshape(-1).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], column_major, [0]])))
    counts = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    return dict(
        area=int(mask.sum()),
        bbox=[x, y, int(cols.max()) - x + 1, int(rows.max()) - y + 1],
        segmentation=dict(counts=counts, size=list(mask.shape)),
        iscrowd=0,
    )


def make_split(out: Path, name: str, number: int, size: int, seed: int, labelled: bool) -> None:
    """Write the images of a split, and their annotation file if it is labelled."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for index in range(number):
        # one generator per image: a larger set begins with the images of a smaller one
        rng = np.random.default_rng([seed, *name.encode(), index])
        image, objects = draw_image(rng, size)
        file_name = f'{index:06d}.jpg'
        cv2.imwrite(str(folder / file_name), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        images.append(dict(id=index + 1, file_name=file_name, height=size, width=size))
        for category, mask in objects:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index + 1,
                    category_id=category + 1,
                    **_annotation(mask),
                )
            )
    if labelled:
        categories = [dict(id=i + 1, name=n) for i, n in enumerate(CATEGORIES)]
        path = out / 'annotations' / f'instances_{name}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps(dict(images=images, annotations=annotations, categories=categories))
        )
    print(f'{folder}: {number} images of {size} x {size}, '
          + (f'{len(annotations)} objects' if labelled else 'no labels'), flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--train', type=int, default=240, help='labelled training images')
    parser.add_argument('--val', type=int, default=96, help='labelled validation images')
    parser.add_argument('--unlabelled', type=int, default=2000, help='images without labels')
    parser.add_argument('--size', type=int, default=128, help='side of the images in pixels')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    for name in ('train', 'val', 'unlabelled', 'size'):
        lowest = 32 if name == 'size' else 0
        if getattr(args, name) < lowest:
            parser.error(f'--{name} must be at least {lowest}, got {getattr(args, name)}')
    for name in ('train', 'val', 'unlabelled'):
        number = getattr(args, name)
        if number:
            make_split(args.out, name, number, args.size, args.seed, name != 'unlabelled')


if __name__ == '__main__':
    run_or_explain(main)

"""An annotation file as a whole: its problems, and a copy without them."""

from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .annotations import Annotations, trained_on
from .entries import Images, Keys, boxes_by_image, check_categories, unique
from .problems import PROBLEMS

_SHOWN = 3  # examples per problem
_PICTURES = (  # problems that only the pictures show
    'file name with folders in front',
    'missing file',
    'unreadable image',
    'size differs',
    'boxes of the unturned picture',
    'boxes of another size',
    'boxes of an unclear frame',
)


class CocoChecker:
    """Problems of one annotation file, and a copy without them.

    Args:
        data (dict): The parsed file (:func:`~greenmim_mm.engine.checks.coco.read`).
        folder (Path, optional): Folder with the pictures. Defaults to None: none is opened.
        every_pixel (bool): Decode every picture. Defaults to False: headers are enough.
        with_masks (bool): Whether every object needs a segmentation. Defaults to True.
        trust_sizes (bool): Whether boxes that fit the picture's frame as well as that of their
            image's width and height lie in the latter. Defaults to False: nothing is guessed.

    Attributes:
        problems (Dict[str, List[str]]): What was found, by kind (:data:`PROBLEMS`).
        fixed (dict): ``data`` mended; ``data`` itself is not changed.
        classes (Tuple[str, ...]): Names of the categories in the order of the file.
        objects (Counter): Number of training targets by name, of the file as it is.
        image_ids (frozenset): Ids of the images.
    """

    def __init__(
        self,
        data: dict,
        folder: Optional[Path] = None,
        every_pixel: bool = False,
        with_masks: bool = True,
        trust_sizes: bool = False,
    ) -> None:
        self.problems: Dict[str, List[str]] = {}
        image_key, category_key = Keys(data['images']), Keys(data['categories'])
        categories = check_categories(
            unique(data['categories'], 'category', category_key, self._found), self._found
        )
        self.classes: Tuple[str, ...] = tuple(c.get('name') for c in data['categories'])
        entries = unique(data['images'], 'image', image_key, self._found)
        self.image_ids = frozenset(image['id'] for image in entries.values())
        boxes = boxes_by_image(data['annotations'] if folder is not None else [], image_key)
        images = Images(entries, boxes, folder, every_pixel, trust_sizes, self._found)
        annotations = Annotations(
            [
                (image_key(a.get('image_id')), category_key(a.get('category_id')), a)
                for a in data['annotations']
            ],
            images,
            frozenset(entries),
            categories,
            with_masks,
            self._found,
        ).kept
        self.objects = Counter(
            categories[category]['name']
            for a in data['annotations']
            if (image := images.kept.get(image_key(a.get('image_id'))))
            and (category := category_key(a.get('category_id'))) in categories
            and trained_on(a, image)
        )
        self.fixed = {
            **data,
            'images': _once(images.kept),
            'annotations': annotations,
            'categories': _once(categories),
        }
        given = data['annotations']
        if not any(not a.get('ignore') and a['iscrowd'] == 0 for a in annotations):
            ignored = sum(bool(a.get('ignore')) for a in given)
            crowds = sum(bool(a.get('iscrowd')) for a in given)
            self._found(
                'no usable object',
                'no annotation at all'
                if not given
                else f'{len(given)} annotations: {ignored} ignored, {crowds} crowds, '
                f'{len(given) - len(annotations)} unusable',
            )

    def _found(self, problem: str, where: str) -> None:
        self.problems.setdefault(problem, []).append(where)

    def table(self) -> str:
        """Markdown: a row per kind of problem, with its number and examples."""
        lines = [('problem', 'number', 'examples', '--fix'), ('---',) * 4]
        for kind, problem in PROBLEMS.items():
            found = self.problems.get(kind)
            if found:
                examples = '; '.join(found[:_SHOWN]) + ('; ...' if len(found) > _SHOWN else '')
                lines.append((kind, str(len(found)), examples, problem.fix))
        return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _once(entries: Dict[object, dict]) -> List[dict]:
    """The values without repetition: several keys may stand for one."""
    return list({id(entry): entry for entry in entries.values()}.values())


def look_at_some(data: dict, folder: Path, number_of_pictures: int = 32) -> Dict[str, List[str]]:
    """Problems of pictures spread over a file: not there, not readable, another frame.

    Args:
        data (dict): The parsed file.
        folder (Path): Folder with the pictures.
        number_of_pictures (int): How many are looked at. Defaults to 32.
    """
    step = -(-len(data['images']) // number_of_pictures) or 1
    some = data['images'][::step]
    key = Keys(data['images'])
    keys = {key(image.get('id')) for image in some}
    annotations = [a for a in data['annotations'] if key(a.get('image_id')) in keys]
    part = {**data, 'images': some, 'annotations': annotations}
    found = CocoChecker(part, folder, with_masks=False).problems
    looked = f', of {len(some)} pictures looked at'
    return {
        kind: [where[0] + looked, *where[1:]] for kind, where in found.items() if kind in _PICTURES
    }

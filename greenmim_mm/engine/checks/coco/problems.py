"""What can be wrong with an annotation file, and what becomes of it."""

from typing import Dict, NamedTuple


class Problem(NamedTuple):
    """One kind of problem.

    Args:
        fix (str): What ``check_coco --fix`` does.
        stops (str): ``'train'``, ``'test'`` or both: runs that would die of it or end with a wrong
            result. For other runs it is a warning. Defaults to ''.
        use (str): What other runs do with what is affected. Defaults to leaving it out.
    """

    fix: str
    stops: str = ''
    use: str = 'left out'


_DROP = 'drops the annotation'
_KEPT = 'used as the file has it'
_TRAINED_ON = 'trained on; an evaluation on this file would fail or be wrong'
PROBLEMS: Dict[str, Problem] = {
    'id is no whole number': Problem('numbers them, everywhere alike', 'train test'),
    'duplicate image id': Problem('drops the later ones', 'train test'),
    'duplicate category id': Problem('drops the later ones', 'train test'),
    'duplicate category name': Problem('makes them one', 'train test'),
    'category without name': Problem('calls it category_ID', 'train test'),
    'category name is no text': Problem('writes the number as text', 'train test'),
    'duplicate annotation id': Problem('numbers them anew', 'train test'),
    'annotation id 0': Problem('numbers them anew', 'test', _TRAINED_ON),
    'no file name': Problem('drops the image', 'train test'),
    'file name with folders in front': Problem('takes them away', 'train test'),
    'duplicate file name': Problem('makes them one image', use=_KEPT),
    'missing file': Problem('drops the image', 'train test'),
    'unreadable image': Problem('drops the image'),
    'no size': Problem('takes the size of the file', 'train test'),
    'size differs': Problem('takes the size of the file', use=_KEPT),
    'boxes of the unturned picture': Problem('turns them', 'train test'),
    'boxes of another size': Problem('scales them', 'train test'),
    'boxes of an unclear frame': Problem(
        'drops the image, or with --trust-sizes takes the frame of width and height', use=_KEPT
    ),
    'annotation of no image': Problem(_DROP),
    'unknown category': Problem(_DROP),
    'no box': Problem("takes the mask's, or drops the annotation", 'train test'),
    'empty box': Problem("takes the mask's, or drops the annotation"),
    'box below a pixel': Problem(_DROP),
    'box outside': Problem(_DROP),
    'box over the border': Problem('cuts the box', use=_KEPT),
    'box in 0..1': Problem('multiplies by the size', 'train test'),
    'box as corners': Problem('turns x2 and y2 into width and height', 'train test'),
    'box by its middle': Problem('turns the middle into the corner', 'train test'),
    'box and mask disagree': Problem(_DROP, use=_KEPT),
    'no area': Problem('counts the pixels', 'train test'),
    'area 0': Problem('counts the pixels'),
    'area differs': Problem('counts the pixels', use=_KEPT),
    'no iscrowd': Problem('writes 0', 'test', _TRAINED_ON),
    'iscrowd is not 0 or 1': Problem('writes 0 or 1', 'train test'),
    'no segmentation': Problem(_DROP, 'train test'),
    'polygon in another form': Problem('writes it as [x, y, x, y, ...]', 'train test'),
    'polygon in 0..1': Problem('multiplies by the size', 'train test'),
    'degenerate polygon': Problem('drops the polygon'),
    'no segmentation left': Problem(_DROP),
    'RLE of swapped size': Problem('takes the reading that fits the box', 'train test'),
    'broken RLE': Problem(_DROP, 'train test'),
    'no usable object': Problem('cannot be mended', 'train'),
}

"""Annotations are compared with, and moved into, the frame that MMDetection's reader returns.

The oracle is that reader: two grey rectangles are drawn into a picture, which is stored with an
EXIF orientation, and looked for in the array that ``LoadImageFromFile`` returns.
"""

import numpy as np
import pytest
from PIL import Image, ImageOps
from pycocotools import mask as masks

from greenmim_mm.engine.checks.coco import CocoChecker

STORED = (40, 30)  # width, height
OBJECTS = {255: (30, 20, 8, 6), 150: (4, 5, 10, 6)}  # grey: box in the picture as it is stored


def seen(file):
    """The array that the detector gets."""
    from mmcv.transforms import LoadImageFromFile

    return LoadImageFromFile()(dict(img_path=str(file)))['img'][..., 0]


def box_of(mask):
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    return [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]


def as_annotation(key, mask, form):
    left, top, width, height = box_of(mask)
    right, bottom = left + width, top + height
    segmentation = [[left, top, right, top, right, bottom, left, bottom]]
    if form == 'rle':
        encoded = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        segmentation = dict(size=encoded['size'], counts=encoded['counts'].decode())
    return dict(id=key, image_id=1, category_id=1, bbox=[left, top, width, height],
                segmentation=segmentation, area=width * height, iscrowd=0)  # fmt: skip


def write(folder, orientation, extension):
    picture = np.zeros(STORED[::-1], np.uint8)
    for grey, (x, y, width, height) in OBJECTS.items():
        picture[y : y + height, x : x + width] = grey
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = dict(lossless=True) if extension == 'webp' else {}
    file = folder / f'a.{extension}'
    Image.fromarray(picture).convert('RGB').save(file, exif=exif, quality=100, **options)
    return picture, file


def annotated(array, form, greys=OBJECTS):
    """What an annotator writes who has this array before them."""
    height, width = array.shape
    found = [as_annotation(i, np.abs(array.astype(int) - grey) < 50, form)
             for i, grey in enumerate(greys, 1)]  # fmt: skip
    return dict(images=[dict(id=1, file_name='', width=width, height=height)], annotations=found,
                categories=[dict(id=1, name='x')])  # fmt: skip


FORMATS = ('jpg', 'png', 'webp', 'tif')


@pytest.mark.parametrize('extension', FORMATS)
@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('form', ['polygon', 'rle'])
def test_right_annotations_are_left_alone(tmp_path, orientation, extension, form):
    _, file = write(tmp_path, orientation, extension)
    data = annotated(seen(file), form)
    data['images'][0]['file_name'] = file.name
    result = CocoChecker(data, tmp_path)
    assert result.problems == {} and result.fixed == data


@pytest.mark.parametrize('extension', FORMATS)
@pytest.mark.parametrize('orientation', range(5, 9))
@pytest.mark.parametrize('form', ['polygon', 'rle'])
def test_annotations_of_the_other_frame_are_moved(tmp_path, orientation, extension, form):
    """Of the picture as it is stored; of the upright one where the reader does not turn it."""
    picture, file = write(tmp_path, orientation, extension)
    right = annotated(seen(file), form)
    if seen(file).shape == picture.shape:
        with Image.open(file) as opened:
            picture = np.array(ImageOps.exif_transpose(opened))[..., 0]
    data = annotated(picture, form)
    data['images'][0]['file_name'] = right['images'][0]['file_name'] = file.name
    result = CocoChecker(data, tmp_path)
    assert {k: len(f) for k, f in result.problems.items()} == {'boxes of the unturned picture': 1}
    assert result.fixed['images'] == right['images']
    for fixed, expected in zip(result.fixed['annotations'], right['annotations']):
        assert fixed['bbox'] == expected['bbox']
        if form == 'rle':
            assert fixed['segmentation'] == expected['segmentation']
        else:
            edges = np.reshape(fixed['segmentation'][0], (-1, 2))
            assert [*edges.min(0), *(edges.max(0) - edges.min(0))] == expected['bbox']
    assert CocoChecker(result.fixed, tmp_path).problems == {}


def test_only_the_size_is_wrong(tmp_path):
    """The width and height of the stored picture, boxes of the upright one."""
    _, file = write(tmp_path, 6, 'jpg')
    right = annotated(seen(file), 'polygon')
    right['images'][0]['file_name'] = file.name
    data = dict(right, images=[dict(right['images'][0], width=STORED[0], height=STORED[1])])
    result = CocoChecker(data, tmp_path)
    assert list(result.problems) == ['size differs'] and result.fixed == right


@pytest.mark.parametrize('orientation', range(5, 9))
def test_sizes_upright_but_boxes_are_not(tmp_path, orientation):
    """One picture whose boxes tell decides for another; not if any of them contradicts."""
    picture, file = write(tmp_path, orientation, 'jpg')
    right = annotated(seen(file), 'polygon')
    stored = annotated(picture, 'polygon')
    (tmp_path / 'b').mkdir()
    write(tmp_path / 'b', orientation, 'jpg')
    names = (file.name, f'b/{file.name}')
    images = [dict(right['images'][0], id=i, file_name=n) for i, n in enumerate(names, 1)]
    small = annotated(picture, 'polygon', [150])['annotations'][0]
    data = dict(stored, images=images, annotations=[
        *stored['annotations'], dict(small, id=3, image_id=2)])  # fmt: skip
    result = CocoChecker(data, tmp_path)
    assert {k: len(f) for k, f in result.problems.items()} == {'boxes of the unturned picture': 2}
    places = [box_of(np.abs(seen(file).astype(int) - grey) < 50) for grey in (*OBJECTS, 150)]
    assert [a['bbox'] for a in result.fixed['annotations']] == places
    assert result.fixed['images'] == images
    data['annotations'][2:] = [dict(a, id=a['id'] + 2, image_id=2) for a in right['annotations']]
    assert 'boxes of the unturned picture' not in CocoChecker(data, tmp_path).problems


def test_a_frame_that_cannot_be_told_is_not_guessed(tmp_path):
    """The one box fits both frames."""
    picture, file = write(tmp_path, 6, 'jpg')
    data = annotated(picture, 'polygon', [150])
    data['images'][0]['file_name'] = file.name
    result = CocoChecker(data, tmp_path)
    assert 'boxes of an unclear frame' in result.problems and result.fixed['images'] == []
    result = CocoChecker(data, tmp_path, trust_sizes=True)  # the user tells
    assert list(result.problems) == ['boxes of the unturned picture']
    place = box_of(np.abs(seen(file).astype(int) - 150) < 50)
    assert result.fixed['annotations'][0]['bbox'] == place
    # another photo of the same file tells
    (tmp_path / 'b').mkdir()
    other, second = write(tmp_path / 'b', 8, 'jpg')
    more = annotated(other, 'polygon')
    data['images'].append(dict(more['images'][0], id=2, file_name=f'b/{second.name}'))
    data['annotations'] += [dict(a, id=a['id'] + 1, image_id=2) for a in more['annotations']]
    result = CocoChecker(data, tmp_path)
    assert {k: len(f) for k, f in result.problems.items()} == {'boxes of the unturned picture': 2}
    assert result.fixed['annotations'][0]['bbox'] == box_of(
        np.abs(seen(file).astype(int) - 150) < 50
    )

"""What people's annotation files have, by the kind of problem that it must be found as."""

import numpy as np
from PIL import Image
from pycocotools import mask as masks


def annotation(key, image=1, category=1, box=(2, 3, 10, 10), **more):
    square = [2, 3, 12, 3, 12, 13, 2, 13]
    return dict(id=key, image_id=image, category_id=category, bbox=list(box),
                segmentation=[square], area=100, iscrowd=0) | more  # fmt: skip


SQUARE = np.zeros((30, 40), np.uint8)
SQUARE[3:13, 2:12] = 1


def rle(mask=SQUARE, **more):
    encoded = masks.encode(np.asfortranarray(mask))
    return dict(size=encoded['size'], counts=encoded['counts'].decode()) | more


def runs(mask=SQUARE, order='F'):
    """Uncompressed RLE of a mask, counted one by one."""
    counts, last = [0], 0
    for pixel in mask.ravel(order):
        if pixel != last:
            counts.append(0)
        counts[-1] += 1
        last = pixel
    return counts


def first(d, **changes):
    d['annotations'][0].update(changes)


def drop(d, *keys):
    for key in keys:
        del d['annotations'][0][key]


def string_ids(d, f):
    for entry in (*d['images'], *d['categories'], *d['annotations']):
        for key in ('id', 'image_id', 'category_id'):
            if key in entry:
                entry[key] = str(entry[key])


def as_relative(d, f):
    for a in d['annotations']:
        a['area'] /= 40 * 30
        a['bbox'] = [n / side for n, side in zip(a['bbox'], (40, 30, 40, 30))]
        a['segmentation'] = [[n / (40, 30)[i % 2] for i, n in enumerate(a['segmentation'][0])]]


def link_to_resized(d, f):
    """Annotated at twice the size; one box reaches over the smaller picture."""
    for image in d['images']:
        image.update(width=80, height=60)
    d['annotations'] = [
        annotation(1, box=(4, 6, 20, 20), segmentation=[[4, 6, 24, 6, 24, 26, 4, 26]], area=400),
        annotation(2, 2, box=(50, 20, 20, 20), segmentation=[[50, 20, 70, 20, 70, 40, 50, 40]]),
    ]


def as_ico(d, f):
    Image.new('RGB', (40, 30)).save(f / 'c.ico', sizes=[(40, 30)])
    d['images'].append(dict(id=3, file_name='c.ico', width=40, height=30))


CASES = {  # name: kind of problem, how it is made, number of findings
    'duplicate image id': lambda d, f: d['images'].append(dict(d['images'][0])),
    'duplicate category id': lambda d, f: d['categories'].append(dict(id=1, name='y')),
    'duplicate category name': lambda d, f: d['categories'].append(dict(id=2, name='x')),
    'category without name': lambda d, f: d['categories'].append(dict(id=2)),
    'category without name: null': lambda d, f: d['categories'].append(dict(id=2, name=None)),
    'category name is no text': lambda d, f: d['categories'].append(dict(id=2, name=7)),
    'duplicate annotation id': lambda d, f: d['annotations'].append(annotation(1)),
    'annotation id 0': lambda d, f: first(d, id=0),
    'id is no whole number: string': (string_ids, 9),
    'id is no whole number: list': lambda d, f: first(d, id=[1]),
    'id is no whole number: name': lambda d, f: first(d, id='one'),
    'id is no whole number: missing': lambda d, f: drop(d, 'id'),
    'id is no whole number: half': lambda d, f: first(d, id=1.5),
    'id is no whole number: category': lambda d, f: d['categories'].append(dict(id=[2], name='y')),
    'no file name': lambda d, f: d['images'][1].pop('file_name'),
    'no file name: list': lambda d, f: d['images'][1].update(file_name=['b.png']),
    'missing file': lambda d, f: (f / 'b.png').unlink(),
    'file name with folders in front': lambda d, f: d['images'][0].update(file_name='images/a.jpg'),
    'file name with folders in front: path': lambda d, f: d['images'][0].update(
        file_name='/home/someone/images/a.jpg'),
    'file name with folders in front: Windows': lambda d, f: d['images'][0].update(
        file_name='D:\\images\\a.jpg'),
    'duplicate file name': lambda d, f: d['images'].append(dict(d['images'][0], id=3)),
    'unreadable image': lambda d, f: (f / 'b.png').write_bytes(b'no image'),
    'unreadable image: empty': lambda d, f: (f / 'b.png').write_bytes(b''),
    'unreadable image: of Pillow alone': as_ico,
    'no size': lambda d, f: d['images'][1].pop('width'),
    'no size: null': lambda d, f: d['images'][1].update(height=None),
    'size differs': lambda d, f: d['images'][1].update(width=30, height=40),
    'boxes of another size': (link_to_resized, 2),
    'annotation of no image': lambda d, f: d['annotations'].append(annotation(3, image=9)),
    'unknown category': lambda d, f: d['annotations'].append(annotation(3, category=7)),
    'unknown category: list': lambda d, f: d['annotations'].append(annotation(3, category=[7])),
    'no box': lambda d, f: drop(d, 'bbox'),
    'no box: null': lambda d, f: first(d, bbox=None),
    'no box: NaN': lambda d, f: first(d, bbox=[float('nan'), 1, 5, 5]),
    'no box: infinite': lambda d, f: first(d, bbox=[0, 0, float('inf'), 5]),
    'no box: strings': lambda d, f: first(d, bbox=['1', '1', '5', '5']),
    'empty box': lambda d, f: first(d, bbox=[2, 3, 0, 10]),
    'empty box: negative': lambda d, f: first(d, bbox=[12, 13, -10, -10]),
    'box below a pixel': lambda d, f: d['annotations'].append(
        annotation(3, box=(2, 3, 0.5, 10))),
    'box outside': lambda d, f: d['annotations'].append(annotation(3, box=(50, 1, 5, 5))),
    'box over the border': lambda d, f: d['annotations'].append(annotation(
        3, box=(35, 1, 9, 5), segmentation=[[35, 1, 40, 1, 40, 6, 35, 6]], area=25)),
    'box in 0..1': (as_relative, 2),
    'box as corners': lambda d, f: first(d, bbox=[2, 3, 12, 13]),
    'box by its middle': lambda d, f: first(d, bbox=[7, 8, 10, 10]),
    'box and mask disagree': lambda d, f: d['annotations'].append(
        annotation(3, box=(20, 15, 9, 9))),
    'no area': lambda d, f: drop(d, 'area'),
    'no area: null': lambda d, f: first(d, area=None),
    'no area: NaN': lambda d, f: first(d, area=float('nan')),
    'area 0': lambda d, f: first(d, area=0),
    'area 0: negative': lambda d, f: first(d, area=-100),
    'area differs: large': lambda d, f: first(d, area=99_999),
    'area differs: small': lambda d, f: first(d, area=0.5),
    'no iscrowd': lambda d, f: drop(d, 'iscrowd'),
    'no iscrowd: null': lambda d, f: first(d, iscrowd=None),
    'iscrowd is not 0 or 1': lambda d, f: first(d, iscrowd='0'),
    'iscrowd is not 0 or 1: two': lambda d, f: first(d, iscrowd=2),
    'no segmentation': lambda d, f: drop(d, 'segmentation'),
    'no segmentation: null': lambda d, f: first(d, segmentation=None),
    'no segmentation: empty': lambda d, f: first(d, segmentation=[]),
    'no segmentation: string': lambda d, f: first(d, segmentation='2 3 12 3'),
    'polygon in another form: flat': lambda d, f: first(
        d, segmentation=[2, 3, 12, 3, 12, 13, 2, 13]),
    'polygon in another form: points': lambda d, f: first(
        d, segmentation=[[[2, 3], [12, 3], [12, 13], [2, 13]]]),
    'polygon in 0..1': lambda d, f: first(d, segmentation=[
        [n / (40, 30)[i % 2] for i, n in enumerate([2, 3, 12, 3, 12, 13, 2, 13])]]),
    'degenerate polygon': lambda d, f: d['annotations'][0]['segmentation'].append([1, 1, 5, 5]),
    'degenerate polygon: odd': lambda d, f: d['annotations'][0]['segmentation'].append(
        [1, 1, 5, 5, 9, 1, 4]),
    'polygon in another form: strings': lambda d, f: first(
        d, segmentation=[['2', '3', '12', '3', '12', '13', '2', '13']]),
    'polygon in another form: strings in points': (lambda d, f: first(
        d, segmentation=[[['2', '3'], ['12', '3'], ['12', '13'], ['2', 13.0]]]), 2),
    'polygon in another form: flat strings': (lambda d, f: first(
        d, segmentation=['2', '3', '12', '3', '12', '13', '2', '13']), 2),
    'degenerate polygon: words': lambda d, f: d['annotations'][0]['segmentation'].append(
        ['1', '1', '5', '5', '9', 'x']),
    'degenerate polygon: NaN': lambda d, f: d['annotations'][0]['segmentation'].append(
        [1, 1, 5, 5, 9, float('nan')]),
    'degenerate polygon: deep': lambda d, f: d['annotations'][0]['segmentation'].append(
        [[[1, 1, 5, 5, 9, 1]]]),
    'degenerate polygon: lists of several lengths': lambda d, f: d['annotations'][0][
        'segmentation'].append([[1, 1], [5, 5, 3]]),
    'no segmentation left': lambda d, f: d['annotations'].append(
        annotation(3, segmentation=[[1, 1, 2, 2, 3, 3]])),
    'RLE of swapped size': lambda d, f: first(d, segmentation=rle(size=[40, 30])),
    'RLE of swapped size: row by row': lambda d, f: first(d, segmentation=rle(SQUARE.T.copy())),
    'RLE of swapped size: list': lambda d, f: first(
        d, segmentation=dict(size=[40, 30], counts=runs(order='C'))),
    'broken RLE: short': lambda d, f: d['annotations'].append(annotation(
        3, segmentation=dict(size=[30, 40], counts=runs()[:-2]))),
    'broken RLE: short string': lambda d, f: d['annotations'].append(annotation(
        3, segmentation=rle(SQUARE[:20]) | dict(size=[30, 40]))),
    'broken RLE: characters': lambda d, f: d['annotations'].append(annotation(
        3, segmentation=dict(size=[30, 40], counts='\x00ab'))),
    'broken RLE: negative': lambda d, f: d['annotations'].append(annotation(
        3, segmentation=dict(size=[30, 40], counts=[1210, -10]))),
    'broken RLE: no counts': lambda d, f: d['annotations'].append(annotation(
        3, segmentation=dict(size=[30, 40]))),
    'broken RLE: other size': lambda d, f: d['annotations'].append(annotation(
        3, segmentation=dict(size=[20, 60], counts=runs()))),
}  # fmt: skip
ALSO = {  # further findings
    'unknown category: list': {'id is no whole number': 1},
    'no segmentation left': {'degenerate polygon': 1},
    'boxes of another size': {'no area': 2},  # an area of the other size is counted anew
}

LEFT = 2  # annotations, where nothing is lost
LESS = ('missing file', 'no file name', 'no file name: list', 'unreadable image',
        'unreadable image: empty', 'no segmentation',
        'no segmentation: null', 'no segmentation: empty', 'no segmentation: string')  # fmt: skip
MORE = ('duplicate annotation id', 'box over the border')

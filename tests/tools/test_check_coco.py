"""Every kind of problem is found, counted and mended."""

import json
import runpy

import pytest
from PIL import Image

from tests.tools.conftest import ROOT, run_tool

TOOL = 'tools/dataset_converters/check_coco.py'


def annotation(key, image=1, category=1, box=(2, 3, 10, 10), **more):
    square = [2, 3, 12, 3, 12, 13, 2, 13]
    return dict(id=key, image_id=image, category_id=category, bbox=list(box),
                segmentation=[square], area=100, iscrowd=0, **more)  # fmt: skip


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('a.jpg', 'b.png'):
        Image.new('RGB', (40, 30)).save(folder / name)
    images = [dict(id=i, file_name=n, width=40, height=30) for i, n in ((1, 'a.jpg'), (2, 'b.png'))]
    data = dict(info={}, images=images, categories=[dict(id=1, name='x')],
                annotations=[annotation(1), annotation(2, 2)])  # fmt: skip
    return data, folder


def checker(data, folder, **kwargs):
    return runpy.run_path(str(ROOT / TOOL))['Checker'](data, folder, **kwargs)


def test_nothing_to_find(dataset):
    data, folder = dataset
    before = json.dumps(data)
    result = checker(data, folder)
    assert result.problems == {} and result.fixed == data and json.dumps(data) == before


CASES = {
    'duplicate image id': lambda d, f: d['images'].append(dict(d['images'][0])),
    'duplicate category id': lambda d, f: d['categories'].append(dict(id=1, name='y')),
    'duplicate annotation id': lambda d, f: d['annotations'].append(annotation(1)),
    'missing file': lambda d, f: (f / 'b.png').unlink(),
    'unreadable image': lambda d, f: (f / 'b.png').write_bytes(b'no image'),
    'size differs': lambda d, f: d['images'][1].update(width=30, height=40),
    'annotation of no image': lambda d, f: d['annotations'].append(annotation(3, image=9)),
    'unknown category': lambda d, f: d['annotations'].append(annotation(3, category=7)),
    'empty box': lambda d, f: d['annotations'].append(annotation(3, box=(1, 1, 0, 5))),
    'box outside': lambda d, f: d['annotations'].append(annotation(3, box=(50, 1, 5, 5))),
    'box over the border': lambda d, f: d['annotations'].append(annotation(3, box=(35, 1, 9, 5))),
    'degenerate polygon': lambda d, f: d['annotations'][0]['segmentation'].append([1, 1, 5, 5]),
    'no segmentation left': lambda d, f: d['annotations'].append(
        dict(annotation(3), segmentation=[[1, 1, 2, 2, 3, 3]])
    ),
}  # fmt: skip


@pytest.mark.parametrize('problem', CASES)
def test_a_problem_is_found_and_mended(dataset, problem):
    data, folder = dataset
    CASES[problem](data, folder)
    result = checker(data, folder)
    expected = {problem: 1}
    if problem == 'no segmentation left':
        expected['degenerate polygon'] = 1
    assert {key: len(found) for key, found in result.problems.items()} == expected
    assert f'| {problem} | 1 |' in result.table()
    assert checker(result.fixed, folder).problems == {}
    if problem == 'box over the border':
        assert result.fixed['annotations'][-1]['bbox'] == [35, 1, 5, 5]


def test_every_problem_has_a_case():
    assert set(runpy.run_path(str(ROOT / TOOL))['PROBLEMS']) == set(CASES)


def test_decode_finds_a_truncated_file(dataset):
    data, folder = dataset
    Image.effect_noise((40, 30), 90).save(folder / 'a.jpg')
    whole = (folder / 'a.jpg').read_bytes()
    (folder / 'a.jpg').write_bytes(whole[: len(whole) - 60])
    assert checker(data, folder).problems == {}
    assert 'unreadable image' in checker(data, folder, decode=True).problems


def test_command(dataset, tmp_path):
    data, folder = dataset
    CASES['box outside'](data, folder)
    file, fixed = tmp_path / 'train.json', tmp_path / 'fixed.json'
    file.write_text(json.dumps(data))
    result = run_tool(TOOL, file, folder, '--fix', fixed, check=False)
    assert result.returncode == 1 and '| box outside | 1 | annotation 3 of a.jpg' in result.stdout
    assert 'with 2 images, 2 annotations' in result.stdout
    assert run_tool(TOOL, fixed, folder).stdout.endswith('no problem found\n')
    for arguments, message in (
        ((file, folder, '--fix', file), 'must name another file'),
        ((tmp_path / 'no.json', folder), 'no.json is not there'),
        ((folder / 'a.jpg', folder), 'error: '),
    ):
        result = run_tool(TOOL, *arguments, check=False)
        assert result.returncode == 1 and message in result.log and 'Traceback' not in result.log

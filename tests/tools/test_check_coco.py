"""The command that checks an annotation file: exit status, table, mended copy."""

import json
import runpy
import sys

import pytest

from tests.engine.checks.coco.cases import CASES
from tests.engine.checks.coco.conftest import dataset  # noqa: F401  a fixture
from tests.tools.conftest import ROOT, run_tool

TOOL = 'tools/dataset_converters/check_coco.py'


@pytest.fixture
def command(monkeypatch, capsys):
    """Run it in this process: exit status, and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / TOOL), run_name='__main__')
        said = capsys.readouterr()
        assert 'Traceback' not in said.err
        return ended.value.code, said.out + said.err

    return run


@pytest.fixture
def files(dataset, tmp_path):  # noqa: F811
    data, folder = dataset
    CASES['box outside'](data, folder)
    file = tmp_path / 'train.json'
    file.write_text(json.dumps(data))
    return file, folder, tmp_path / 'fixed.json'


def test_as_a_user_calls_it(files):
    file, folder, fixed = files
    result = run_tool(TOOL, file, folder, '--fix', fixed, check=False)
    assert result.returncode == 1 and '| box outside | 1 | annotation 3 of a.jpg' in result.stdout
    assert 'with 2 images, 2 annotations' in result.stdout
    assert run_tool(TOOL, fixed, folder).stdout.endswith('no problem found\n')


def test_what_cannot_be_checked_is_an_error(command, files):
    file, folder, fixed = files
    fixed.write_text('[]')
    for arguments, message in (
        ((file, folder, '--fix', file), '--fix must name another file'),
        ((file, folder, '--fix', folder), 'a file to write, '),
        ((file, folder, '--fix', folder / 'no' / 'x.json'), 'no is no folder'),
        ((file, folder, '--fix', folder / 'a.jpg' / 'x.json'), 'a.jpg is no folder'),
        ((file, folder, '--rename', 'x'), "takes OLD=NEW, two names of a category, got 'x'"),
        ((file, folder, '--rename', 'q=x'), "no category 'q' to rename; there are x"),
        ((folder / 'no.json', folder), 'no.json is not there'),
        ((file, folder / 'no'), 'no is not there'),
        ((file, file), 'train.json is no folder'),
        ((folder / 'a.jpg', folder), 'cannot be read as JSON'),
        ((fixed, folder), 'must be an object with images, annotations, categories, got a list'),
        ((file, folder, '--like', fixed), 'fixed.json must be an object with'),
    ):
        status, said = command(*arguments)
        assert status == 2 and said.startswith('error: ') and message in said


def test_nothing_is_written_that_holds_nothing(command, files, tmp_path):
    """A wrong folder must not be answered by dropping every picture."""
    file, _, fixed = files
    (tmp_path / 'elsewhere').mkdir()
    status, said = command(file, tmp_path / 'elsewhere', '--fix', fixed)
    assert status == 2 and '| missing file | 2 |' in said and not fixed.exists()
    assert 'mending would leave no images' in said
    data = json.loads(file.read_text())
    for annotation in data['annotations']:
        annotation['segmentation'] = None
    file.write_text(json.dumps(data))
    status, said = command(file, tmp_path / 'images', '--fix', fixed)
    assert status == 2 and 'would leave no annotations' in said and '--boxes-only' in said
    status, said = command(file, tmp_path / 'images', '--boxes-only', '--fix', fixed)
    assert status == 1 and len(json.loads(fixed.read_text())['annotations']) == 2


def test_advice_fits_what_was_lost(command, files, tmp_path):
    """Boxes and masks that contradict each other, or a wrong folder, are no case of boxes alone."""
    file, folder, fixed = files
    data = json.loads(file.read_text())
    for annotation in data['annotations']:
        annotation['segmentation'] = [[20, 20, 30, 20, 30, 29, 20, 29]]
    file.write_text(json.dumps(data))
    status, said = command(file, folder, '--fix', fixed)
    assert status == 2 and '--boxes-only' not in said and 'box and mask disagree (2)' in said
    status, said = command(file, tmp_path, '--fix', fixed)
    assert status == 2 and '--boxes-only' not in said and 'the folder of these pictures?' in said


def test_an_empty_picture_is_called_so(command, files):
    file, folder, _ = files
    (folder / 'b.png').write_bytes(b'')
    assert 'b.png: the file is empty' in command(file, folder)[1]


def test_a_misspelt_category_is_not_made_a_new_one(command, files, tmp_path):
    file, folder, fixed = files
    data = json.loads(file.read_text())
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(data))
    file.write_text(json.dumps(dict(data, categories=[dict(id=1, name='xx')])))
    status, said = command(file, folder, '--like', other, '--fix', fixed)
    assert status == 2 and "'xx' is near 'x'" in said and not fixed.exists()
    command(file, folder, '--like', other, '--rename', 'xx=x', '--fix', fixed)
    assert json.loads(fixed.read_text())['categories'] == data['categories']
    command(file, folder, '--like', other, '--rename', 'xx=xx', '--fix', fixed)
    assert [c['name'] for c in json.loads(fixed.read_text())['categories']] == ['x', 'xx']


def test_a_pair_of_files(command, files, tmp_path):
    file, folder, fixed = files
    data = json.loads(file.read_text())
    del data['annotations'][2]
    data['categories'] = [dict(id=1, name='x'), dict(id=2, name='y')]
    file.write_text(json.dumps(data))
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(dict(data, categories=data['categories'][::-1])))
    assert command(file, folder, '--like', file)[0] == 0
    status, said = command(file, folder, '--like', other, '--fix', fixed)
    assert status == 1 and 'the same names in another order' in said
    assert json.loads(fixed.read_text())['categories'] == data['categories'][::-1]
    assert command(fixed, folder, '--like', other)[0] == 0

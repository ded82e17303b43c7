"""The commands that draw; what they draw is tested in tests/apis and tests/visualization."""

import shutil

import pytest
from PIL import Image

from tests.tools.conftest import PRETRAIN, refusal, run_tool

pytestmark = pytest.mark.slow


def test_reconstructions(toy, pretrained, tmp_path):
    config = next(pretrained.work_dir.glob('*.py'))  # as it was run
    tool = 'tools/visualization/visualize_reconstruction.py'
    result = run_tool(tool, config, pretrained.checkpoint, toy / 'val', '--out-dir', tmp_path)
    assert 'written: 4 pictures' in result.stdout
    assert {Image.open(file).size for file in tmp_path.iterdir()} == {(512, 128)}
    pictures = shutil.copytree(toy / 'val', tmp_path / 'pictures')
    broken = pictures / 'broken.png'
    broken.write_bytes(b'hello')
    result = run_tool(tool, config, pretrained.checkpoint, pictures, '--out-dir', tmp_path)
    assert 'written: 4 pictures' in result.stdout and 'left out: 1 that' in result.stdout
    assert f'image {broken} cannot be read' in result.log
    for arguments, message in (
        ((config, pretrained.checkpoint, toy / 'val'), '--out-dir or --show is needed'),
        ((config, pretrained.checkpoint, broken, '--out-dir', tmp_path), 'cannot be read (of no'),
        ((config, pretrained.checkpoint, 'gone', '--out-dir', tmp_path), 'no such file or folder'),
        ((PRETRAIN, pretrained.checkpoint, toy / 'val', '--out-dir', tmp_path), 'does not fit'),
    ):
        assert message in refusal(tool, *arguments)


def test_grouping(tmp_path):
    tool, out = 'tools/visualization/visualize_grouping.py', tmp_path / 'groups.png'
    result = run_tool(tool, '--out', out, '--img-size', 96, 160, '--shift', 3)
    assert 'groups of' in result.stdout and out.stat().st_size > 5000
    assert 'error: ' in refusal(tool, '--out', out, '--img-size', 100)

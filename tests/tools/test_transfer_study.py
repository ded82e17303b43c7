"""A study of two starts and two seeds, interrupted, finished, and asked for something else."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.tools.conftest import (
    DETECT,
    ROOT,
    detect_options,
    environment,
    refusal,
    run_tool,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def installed(tmp_path):
    """The package as ``pip install`` lays it: configs and tools are in ``.mim``."""
    package = tmp_path / 'site-packages' / 'greenmim_mm'
    without = shutil.ignore_patterns('__pycache__', '.mim')
    shutil.copytree(ROOT / 'greenmim_mm', package, ignore=without)
    for name in ('configs', 'tools'):
        shutil.copytree(ROOT / name, package / '.mim' / name, ignore=without)
    return package


def test_study(toy, pretrained, tmp_path, installed):
    """Begun with the installed package, in an empty folder, and finished in the clone."""
    tool, out = 'tools/analysis_tools/transfer_study.py', tmp_path / 'study'
    command = [tool, DETECT, '--pretrained', f'mim={pretrained.checkpoint}', '--work-dir', out]
    options = detect_options(toy)
    (tmp_path / 'empty').mkdir()
    first = subprocess.run(
        [sys.executable, installed / '.mim' / tool, installed / '.mim' / DETECT,
         *map(str, command[2:]), '--seeds', '0', *options],
        cwd=tmp_path / 'empty', env=environment(PYTHONPATH=str(installed.parent)), text=True,
        capture_output=True,
    )  # fmt: skip
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count(f'{installed}/.mim/tools/train.py') == 2
    assert not list((tmp_path / 'empty').iterdir())
    settings = json.loads((out / 'study.json').read_text())
    (out / 'study.json').write_text(json.dumps(dict(settings, config=str(ROOT / DETECT))))
    result = run_tool(*command, '--seeds', 0, 1, '--jobs', 2, *options)
    assert result.log.count('finished before') == 2 and result.log.count('tools/train.py') == 2

    saved = json.loads((out / 'results.json').read_text())
    assert saved['seeds'] == [0, 1] and list(saved['results']) == ['mim', 'scratch']
    assert all(len(runs) == 2 for runs in saved['results'].values())
    assert all('coco/bbox_mAP' in run for runs in saved['results'].values() for run in runs)
    assert '| mim minus scratch, per seed | 2 |' in (out / 'results.md').read_text()
    assert (out / 'results.png').stat().st_size > 5000

    other = refusal(*command, *detect_options(toy, 'optim_wrapper.optimizer.lr=0'))
    assert 'holds runs of other settings' in other


def test_bad_arguments(pretrained):
    tool = 'tools/analysis_tools/transfer_study.py'
    for arguments, message in (
        ((DETECT, '--pretrained', 'nowhere.pth'), 'no file nowhere.pth'),
        ((DETECT, '--pretrained', f'scratch={pretrained.checkpoint}'), "'scratch' is taken"),
        ((DETECT, '--pretrained', pretrained.checkpoint, '--seeds', '1', '1'), 'different whole'),
    ):
        assert message in refusal(tool, *arguments)

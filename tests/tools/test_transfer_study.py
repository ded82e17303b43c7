"""A study of two starts and two seeds, interrupted, finished, and asked for something else."""

import json

import pytest

from tests.tools.conftest import DETECT, detect_options, refusal, run_tool

pytestmark = pytest.mark.slow


def test_study(toy, pretrained, tmp_path):
    tool, out = 'tools/analysis_tools/transfer_study.py', tmp_path / 'study'
    command = [tool, DETECT, '--pretrained', f'mim={pretrained.checkpoint}', '--work-dir', out]
    options = detect_options(toy)
    first = run_tool(*command, '--seeds', 0, *options)
    assert first.log.count('tools/train.py') == 2
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

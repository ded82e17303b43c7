"""The converters' commands; what they convert is tested in tests/converters."""

import pytest
import torch

from tests.converters.test_converters import ARCH, save, timm_vit
from tests.tools.conftest import run_tool

pytestmark = pytest.mark.slow
TOOL = 'tools/model_converters/vit_to_hpvit.py'


def test_vit_to_hpvit(tmp_path):
    config = tmp_path / 'tiny.py'
    config.write_text(
        f"model = dict(backbone=dict(type='greenmim_mm.HPViT', arch={ARCH}, img_size=64, "
        'depths=(1, 1, 2, 2), out_indices=(0, 1, 2, 3)))\n'
    )
    source, target = save(tmp_path, timm_vit()), tmp_path / 'target.pth'
    result = run_tool(TOOL, source, target, '--config', config)
    assert result.stdout.startswith('| what |')
    assert '| initialised | 3 | - | pools.*.weight | (16, 1, 2, 2) |' in result.stdout
    assert all(key.startswith('backbone.') for key in torch.load(target)['state_dict'])

    result = run_tool(TOOL, source, tmp_path / 'no.pth', check=False)  # a ViT-B is asked for
    assert result.returncode == 2 and 'error: ' in result.stderr and 'Traceback' not in result.log
    assert 'layers.6.' in result.stderr and not (tmp_path / 'no.pth').exists()

"""What the pages say agrees with the code; the site builds. (Commands: test_commands.py.)"""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from greenmim_mm.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from tests.tools.conftest import ROOT, environment


def test_add_a_backbone():
    text = Path('docs/add_a_backbone.md').read_text()
    example, check, config = re.findall(r'```python\n(.*?)```', text, re.S)
    scope = {'__name__': 'docs_add_a_backbone'}
    exec(example, scope)
    exec(check, scope)

    settings = {}
    exec(config.replace('_base_ =', 'base ='), settings)
    cfg = Config.fromfile(settings['base'])
    cfg.merge_from_dict(dict(model=settings['model']))
    cfg.model.data_preprocessor.type = 'mmpretrain.SelfSupDataPreprocessor'
    cfg.model.head.loss.type = 'mmpretrain.PixelReconstructionLoss'
    model = MODELS.build(cfg.model)
    model.loss(torch.randn(2, 3, 64, 96))['loss'].backward()


def test_pages_that_are_linked_exist():
    for page in [Path('README.md'), *Path('docs').glob('**/*.md'), *Path('configs').glob('*/*.md')]:
        for link in re.findall(r'\]\((?!http)([^)#]+)', page.read_text()):
            target = page.parent / link
            generated = link.startswith('models/')  # pages of configs/*/README.md, on the site only
            assert target.exists() or generated, f'{page}: {link}'


def option_tables():
    """(config, option, value) of every row of the configuration reference."""
    text = Path('docs/configuration.md').read_text()
    for section in text.split('\n## ')[1:]:
        config = re.search(r'^`(configs/\S+\.py)`', section, re.M)
        for option, value in re.findall(r'^\| `([\w.]+)` \| `([^`]*)` \|', section, re.M):
            yield config[1], option, value


def registry_of(option):
    """Whose class takes an option."""
    registries = {'hooks': HOOKS, '.pipeline': TRANSFORMS, '.dataset': DATASETS}
    return next((registry for part, registry in registries.items() if part in option), MODELS)


@pytest.mark.parametrize('config', sorted({config for config, _, _ in option_tables()}))
def test_configuration_reference(config):
    """Every option is where the page says, with the value that it says."""
    cfg = Config.fromfile(config)
    for _, option, value in (row for row in option_tables() if row[0] == config):
        found, last = cfg, option.split('.')[-1]
        for part in option.split('.')[:-1]:
            found = found[int(part) if part.isdigit() else part]
        if value == '-':
            assert last not in found, option
            accepted = [
                name
                for parent in registry_of(option).get(found.type).__mro__
                for name in inspect.signature(parent.__init__).parameters
            ]
            assert last in accepted, option
        else:
            assert found[last] == ast.literal_eval(value), option


def test_number_of_tensors_that_a_transfer_loads():
    said = re.search(
        r'loaded (\d+) of (\d+) tensors', Path('docs/tutorials/own_detector.md').read_text()
    )
    counts = []
    for config in ('swin_t_pretrain', 'mask_rcnn_swin_t_coco'):
        cfg = Config.fromfile(f'configs/greenmim/{config}.py')
        init_default_scope(cfg.default_scope)
        cfg.model.backbone.init_cfg = None
        counts.append(len(MODELS.build(cfg.model.backbone).state_dict()))
    assert counts == [int(number) for number in said.groups()]


def test_site(tmp_path):
    """The strict build of ``make docs``: no dead link, no missing page, no unknown reference."""
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', tmp_path],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    zoo = (tmp_path / 'model_zoo/index.html').read_text()
    for config in Path('configs').glob('[!_]*/*.py'):
        assert config.stem in zoo
    start = (tmp_path / 'get_started/index.html').read_text()
    assert 'torchvision must come from the same build' in start  # a section of the README
    api = (tmp_path / 'api/sparsity/index.html').read_text()
    assert 'RandomMasking' in api and ':class:' not in api


def test_figures_of_the_method(tmp_path):
    command = [sys.executable, 'docs/figures/draw.py', '--out', tmp_path]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {file.name for file in Path('docs/figures').glob('*.png')}
    assert all((tmp_path / name).stat().st_size > 5000 for name in names)

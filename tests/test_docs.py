"""Code that the documentation shows runs as it is printed."""

import re
from pathlib import Path

import torch

from greenmim_mm.registry import MODELS


def test_add_a_backbone():
    text = Path('docs/add_a_backbone.md').read_text()
    example, check, config = re.findall(r'```python\n(.*?)```', text, re.S)
    scope = {'__name__': 'docs_add_a_backbone'}
    exec(example, scope)
    exec(check, scope)

    settings = {}
    exec(config.replace('_base_ =', 'base ='), settings)
    from mmengine.config import Config

    cfg = Config.fromfile(settings['base'])
    cfg.merge_from_dict(dict(model=settings['model']))
    cfg.model.data_preprocessor.type = 'mmpretrain.SelfSupDataPreprocessor'
    cfg.model.head.loss.type = 'mmpretrain.PixelReconstructionLoss'
    model = MODELS.build(cfg.model)
    model.loss(torch.randn(2, 3, 64, 96))['loss'].backward()


def test_pages_that_are_linked_exist():
    for page in [Path('README.md'), *Path('docs').glob('*.md'), *Path('configs').glob('*/*.md')]:
        for link in re.findall(r'\]\((?!http)([^)#]+)', page.read_text()):
            assert (page.parent / link).exists(), f'{page}: {link}'

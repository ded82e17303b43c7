"""``--cfg-options``: what is refused, and what arrives."""

import argparse

import pytest
from mmengine.config import Config

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.config_options import add_config_options, merge_options, read_config


def parse(*words):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


@pytest.mark.parametrize('word,message', [
    ('model.mask_ratio', "'model.mask_ratio' is not of the form KEY=VALUE"),
    ('=3', "'=3' is not of the form KEY=VALUE"),
    ('a.b=dict(c=1)', 'a dict is set key by key (a.b.NAME=VALUE)'),
    ('a.b={c:1}', 'a dict is set key by key (a.b.NAME=VALUE)'),
    ('a=[(1,2]', 'Imbalanced brackets'),
])  # fmt: skip
def test_what_is_no_option_is_an_error_of_usage(capsys, word, message):
    with pytest.raises(SystemExit) as ended:
        parse(word)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('text,value', [
    ('3', 3), ('1e-3', 1e-3), ('true', True), ('None', None), ('a,b', ['a', 'b']),
    ('[(1, 2), (3, 4)]', [(1, 2), (3, 4)]), ('"x"', 'x'), ('a=b', 'a=b'),
    ('/my photos (2020)/all', '/my photos (2020)/all'),
    ('/my photos,/other ones/list.txt', ['/my photos', '/other ones/list.txt']),
    ('[traffic light, stop sign]', ['traffic light', 'stop sign']),
])  # fmt: skip
def test_values_and_their_blanks(text, value):
    assert parse(f'key={text}') == dict(key=value)


def test_options_that_do_not_fit_are_one_error():
    cfg = Config(dict(model=dict(backbone=None), hooks=[dict(a=1)]))
    for options in ({'model.backbone.depth': 3}, {'hooks.4.a': 3}, {'model': None, 'model.x': 1}):
        with pytest.raises(CheckError, match=r'--cfg-options \S+=.* does not fit the config'):
            merge_options(cfg, dict(options))
    merge_options(cfg, {'model._delete_': True, 'model.type': 'A', 'hooks.0.a': 2})
    assert cfg.model == dict(type='A') and cfg.hooks[0].a == 2


@pytest.mark.parametrize('name,text,message', [
    ('gone.py', None, r'gone\.py is not a file'),
    ('folder.py', '', r'folder\.py is not a file'),
    ('a.py', 'model = dict(', r"a\.py cannot be read: SyntaxError: '\(' was never closed"),
    ('a.py', 'model = undefined', r"a\.py cannot be read: NameError: name 'undefined'"),
    ('a.py', "_base_ = 'gone.py'", r'a\.py cannot be read: .*gone\.py'),
    ('a.py', 'custom_imports = dict(imports=["no_such"])', 'a.py cannot be read: .*no_such'),
    ('a.txt', 'model = 1', r'a\.txt cannot be read: '),
    ('a.py', "_base_ = 'mmseg::_base_/x.py'", 'onedl-mmsegmentation|cannot be read'),
])  # fmt: skip
def test_a_config_that_cannot_be_read(tmp_path, name, text, message):
    file = tmp_path / name
    if name.startswith('folder'):
        file.mkdir()
    elif text is not None:
        file.write_text(text)
    with pytest.raises(CheckError, match=message):
        read_config(str(file))

"""A range of brightness that would leave nothing to be seen ends before training."""

import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from greenmim_mm.datasets import UnlabelledImages, ValueRangeError

OPTION = r'train_dataloader\.dataset\.pipeline\.0\.value_range'


def save(folder, **pictures):
    for name, values in pictures.items():
        Image.fromarray(values).save(folder / f'{name}.tif')


def read(folder, value_range=None, **kwargs):
    load = dict(type='greenmim_mm.LoadImage', value_range=value_range)
    return UnlabelledImages(folder, pipeline=[load], **kwargs)


@pytest.fixture
def deep():
    """Nearly every 16-bit picture holds a pixel that is black."""
    grey = np.linspace(0, 60000, 400).astype(np.uint16).reshape(20, 20)
    return dict(a=np.linspace(0, 1.2, 400, dtype=np.float32).reshape(20, 20), b=grey, c=grey)


def test_no_range_is_advised_that_would_spoil_other_kinds(tmp_path, deep):
    save(tmp_path, **deep)
    with pytest.raises(ValueRangeError, match=r'a\.tif: float with values from 0 to 1\.2.*One '
                       r'value_range holds for all: float .* in 1 read; uint16 .* 0 to 60,000 in '
                       r'2 read\. Where .* convert them to one kind') as said:  # fmt: skip
        read(tmp_path)
    assert '--cfg-options' not in str(said.value)
    for value_range in ((0, 1.2), (0, 60000)):  # white and black
        with pytest.raises(ValueRangeError, match=rf'(9|10).* of the values become .*{OPTION}'):
            read(tmp_path, value_range)
    assert len(read(tmp_path, (0, 1.2), sample=0)) == 3


def test_the_advice_fits_all_pictures_of_a_kind(tmp_path):
    save(tmp_path, **{f'{i}': np.array([[0, 1 + i]], np.float32) for i in range(4)})
    with pytest.raises(ValueRangeError, match=rf'1\.tif: .*--cfg-options {OPTION}=0,4, or wider'):
        read(tmp_path)
    assert len(read(tmp_path, (0, 4))) == 4


@pytest.mark.parametrize('kind,value_range', [
    (np.uint16, (0, 1.2)), (np.uint16, (0, 1)), (np.float32, (0, 65535)), (np.uint16, (5e4, 6e4)),
])  # fmt: skip
def test_a_kind_outside_the_range_is_an_error(tmp_path, kind, value_range):
    top = 1 if kind == np.float32 else 40000
    save(tmp_path, a=np.linspace(0, top, 400).astype(kind).reshape(20, 20))
    with pytest.raises(ValueRangeError, match=rf'a\.tif, .* plain black or white; set {OPTION}'):
        read(tmp_path, value_range)


def test_what_is_black_itself_or_partly_outside_is_fine(tmp_path):
    ramp = np.linspace(0, 40000, 400).astype(np.uint16).reshape(20, 20)
    hole = np.full((20, 20), np.nan, np.float32)
    save(tmp_path, a=np.zeros((20, 20), np.uint16), b=ramp)
    assert len(read(tmp_path, (0, 4095))) == 2
    (tmp_path / 'holes').mkdir()
    save(tmp_path / 'holes', a=hole)
    assert len(read(tmp_path / 'holes', (0, 9))) == 1


def test_a_kind_that_comes_late_is_looked_at(tmp_path, deep):
    save(tmp_path, **{f'a{i:02}': deep['a'] for i in range(25)}, z=deep['b'])
    with pytest.raises(ValueRangeError, match=r'z\.tif, uint16'):
        read(tmp_path, (0, 1.2))


def test_a_camera_is_not_suggested_where_it_would_spoil_floats(tmp_path, deep, caplog):
    save(tmp_path, a=deep['a'] / 2, b=deep['b'] // 16)
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    read(tmp_path)
    logger.removeHandler(caplog.handler)
    (text,) = caplog.messages
    assert 'float (black at 0, white at 1)' in text and 'to 3,750 in 1 read' in text
    assert '--cfg-options' not in text

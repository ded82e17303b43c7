import numpy as np
import pytest
from PIL import Image

from greenmim_mm.datasets import LoadImage


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / 'photo.jpg'
    Image.fromarray(pixels).save(path, quality=95)
    return path


def test_same_image_as_the_parent(photo):
    from mmcv.transforms import LoadImageFromFile

    ours = LoadImage()(dict(img_path=str(photo)))
    theirs = LoadImageFromFile(imdecode_backend='pillow')(dict(img_path=str(photo)))
    assert ours['img'].shape == (40, 60, 3)
    assert np.array_equal(ours['img'], theirs['img'])


@pytest.mark.parametrize('damage', ['truncated', 'empty', 'text', 'missing'])
def test_broken_file(photo, damage):
    content = {'truncated': photo.read_bytes()[:-500], 'empty': b'', 'text': b'hello'}
    if damage == 'missing':
        photo.unlink()
    else:
        photo.write_bytes(content[damage])
    assert LoadImage(on_error='skip')(dict(img_path=str(photo))) is None
    with pytest.raises(ValueError, match=r"photo\.jpg cannot be read .*on_error='skip'"):
        LoadImage(on_error='raise')(dict(img_path=str(photo)))


def test_bad_switch():
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', got 'ignore'"):
        LoadImage(on_error='ignore')

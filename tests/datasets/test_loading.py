import numpy as np
import pytest
from PIL import Image

from greenmim_mm.datasets import LoadImage
from greenmim_mm.datasets.loading import CANVAS


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


def kind_of_image(kind):
    """An image and the RGB that its upper left pixel should become."""
    grey = np.full((8, 6), 51, np.uint8)
    if kind == 'grey':
        return Image.fromarray(grey), (51, 51, 51)
    if kind == '16-bit':  # a fifth of the range
        return Image.fromarray(np.full((8, 6), 13107, np.uint16)), (51, 51, 51)
    if kind == 'float':
        return Image.fromarray(np.full((8, 6), 0.2, np.float32)), (51, 51, 51)
    if kind == 'cmyk':
        return Image.new('CMYK', (6, 8), (0, 255, 255, 0)), (255, 0, 0)
    if kind == 'transparent':
        return Image.new('RGBA', (6, 8), (255, 0, 0, 0)), CANVAS
    if kind == 'half transparent':
        return Image.new('RGBA', (6, 8), (255, 255, 255, 51)), tuple(
            round(0.8 * c + 0.2 * 255) for c in CANVAS
        )
    if kind == 'opaque':
        return Image.new('RGBA', (6, 8), (255, 0, 9, 255)), (255, 0, 9)
    if kind == 'grey with alpha':
        return Image.new('LA', (6, 8), (7, 0)), CANVAS
    palette = Image.new('P', (6, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    return palette, (10, 200, 30)


@pytest.mark.parametrize('kind', ['grey', '16-bit', 'float', 'cmyk', 'transparent', 'opaque',
                                  'half transparent', 'grey with alpha', 'palette'])  # fmt: skip
def test_every_kind_of_image(tmp_path, kind):
    image, expected = kind_of_image(kind)
    file = tmp_path / ('image.tif' if kind in ('float', 'cmyk') else 'image.png')
    image.save(file)
    loaded = LoadImage()(dict(img_path=str(file)))
    assert loaded['img'].shape == (8, 6, 3) and loaded['img'].dtype == np.uint8
    assert loaded['img_shape'] == loaded['ori_shape'] == (8, 6)
    assert np.abs(loaded['img'][0, 0, ::-1].astype(int) - expected).max() <= 1


def test_orientation_of_the_camera(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new('RGB', (20, 10)).save(tmp_path / 'a.jpg', exif=exif)
    assert LoadImage()(dict(img_path=str(tmp_path / 'a.jpg')))['img_shape'] == (20, 10)

from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from greenmim_mm.datasets import LoadImage
from greenmim_mm.datasets.decoding import CANVAS


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


@pytest.mark.parametrize('copies', [1, 2])
def test_a_broken_file_is_named_once(photo, caplog, copies):
    """Over all loading workers, too: a pickled transform still shares what was named."""
    photo.write_bytes(b'hello')
    load = LoadImage(on_error='skip')
    loads = [load] if copies == 1 else [load, ForkingPickler.loads(ForkingPickler.dumps(load))]
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    for _ in range(3):
        assert all(each(dict(img_path=str(photo))) is None for each in loads)
    logger.removeHandler(caplog.handler)
    (text,) = caplog.messages
    assert f'image {photo} cannot be read' in text


def test_grey_and_colour_without_orientation(tmp_path):
    """Shapes and types are those of the parent."""
    from mmcv.transforms import LoadImageFromFile

    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png', exif=exif)
    for color_type in ('grayscale', 'color_ignore_orientation', 'unchanged'):
        for to_float32 in (False, True):
            kwargs = dict(color_type=color_type, to_float32=to_float32, imdecode_backend='pillow')
            ours, theirs = (
                load(**kwargs)(dict(img_path=str(tmp_path / 'a.png')))['img']
                for load in (LoadImage, LoadImageFromFile)
            )
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), color_type


@pytest.mark.parametrize('kwargs,words', [
    (dict(max_pixels=0), 'max_pixels must be at least 1 or None, got 0'),
    (dict(value_range=(0, 9), imdecode_backend='cv2'), "needs imdecode_backend='pillow'"),
])  # fmt: skip
def test_bad_options(kwargs, words):
    with pytest.raises(ValueError, match=words):
        LoadImage(**kwargs)


def test_bad_switch():
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', got 'ignore'"):
        LoadImage(on_error='ignore')


def kind_of_image(kind):
    """An image and the RGB that its upper left pixel should become."""
    grey = np.full((8, 6), 51, np.uint8)
    if kind == 'grey':
        return Image.fromarray(grey), (51, 51, 51)
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


@pytest.mark.parametrize('kind', ['grey', 'cmyk', 'transparent', 'opaque',
                                  'half transparent', 'grey with alpha', 'palette'])  # fmt: skip
def test_every_kind_of_image(tmp_path, kind):
    image, expected = kind_of_image(kind)
    file = tmp_path / ('image.tif' if kind == 'cmyk' else 'image.png')
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


def test_ignore_empty_of_the_parent_skips(photo):
    photo.write_bytes(b'')
    assert LoadImage(ignore_empty=True)(dict(img_path=str(photo))) is None

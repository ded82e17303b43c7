"""Every mode and type of picture against formulas in plain numpy."""

import io
import sys
import threading
import zlib
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from greenmim_mm.datasets import LoadImage, decode
from greenmim_mm.datasets.brightness import ValueRangeError
from greenmim_mm.datasets.decoding import CANVAS


def encoded(array, extension='.tif'):
    """By OpenCV, which is not what reads it."""
    ok, content = cv2.imencode(extension, array)
    assert ok
    return content.tobytes()


def saved(image, format='TIFF', **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def scaled(array, low, high):
    """Round half to even, as numpy does; the formula of a scale, nothing else."""
    return np.rint(np.clip((array.astype(np.float64) - low) / (high - low), 0, 1) * 255)


def grey_of(content, **kwargs):
    pixels = decode(content, **kwargs)
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


# the report's values: a picture's own maximum must not matter
@pytest.mark.parametrize('highest', [1, 250, 255, 256, 4095, 65535])
@pytest.mark.parametrize('extension', ['.png', '.tif', '.pgm'])
def test_16_bits_mean_65535(highest, extension):
    array = np.linspace(0, highest, 24).astype(np.uint16).reshape(4, 6)
    assert np.array_equal(grey_of(encoded(array, extension)), scaled(array, 0, 65535))
    assert np.array_equal(decode(encoded(array, extension), 'grayscale'), scaled(array, 0, 65535))


@pytest.mark.parametrize('extension', ['.png', '.tif', '.pgm'])
@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_a_12_bit_camera(extension, color_type):
    array = np.linspace(0, 5000, 24).astype(np.uint16).reshape(4, 6)
    pixels = decode(encoded(array, extension), color_type, value_range=(64, 4095))
    assert np.array_equal(pixels.reshape(4, 6, -1)[..., 0], scaled(array, 64, 4095))


def test_pgm_that_declares_its_largest_value():
    content = b'P5\n3 1\n4095\n' + np.array([0, 2048, 4095], '>u2').tobytes()
    assert grey_of(content).tolist() == [[0, round(2048 / 4095 * 255), 255]]
    assert grey_of(content, value_range=(0, 2048)).tolist() == [[0, 255, 255]]


@pytest.mark.parametrize('highest', [1.0, 0.999, 1.0001])
def test_floats_mean_0_to_1(highest):
    array = np.linspace(0, highest, 24, dtype=np.float32).reshape(4, 6)
    array[0, 0] = 0.5
    grey = grey_of(encoded(array))
    assert grey[0, 0] == 128  # 127.5; it was 0.5 for a maximum of 1.0001
    assert np.array_equal(grey, scaled(array, 0, 1))


@pytest.mark.parametrize('value', [1.01, -0.01, 300, np.inf])
def test_floats_outside_are_an_error_with_the_values(value):
    array = np.full((2, 3), 0.5, np.float32)
    array[1, 1] = value
    with pytest.raises(ValueRangeError, match=rf'float with values .*{value:.3g}.*value_range=\('):
        decode(encoded(array))
    high = 400 if value > 1.5 else 1
    assert np.array_equal(grey_of(encoded(array), value_range=(0, high)), scaled(array, 0, high))


def test_no_data_is_the_canvas():
    array = np.full((2, 3), 0.2, np.float32)
    array[0, 1] = np.nan
    pixels = decode(encoded(array))
    assert pixels[0, 1].tolist() == list(CANVAS)
    assert (np.delete(pixels.reshape(6, 3), 1, 0) == 51).all()
    assert (decode(encoded(array[:1, 1:2])) == CANVAS).all()  # nothing else
    weights = np.array([0.299, 0.587, 0.114])
    assert abs(decode(encoded(array), 'grayscale')[0, 1] - weights @ CANVAS) <= 1
    array[0, 0] = 500
    assert decode(encoded(array), value_range=(0, 1000))[0, 0, 0] == 128


@pytest.mark.parametrize('dtype', [np.int16, np.int32])
def test_integers_with_a_sign_need_a_range(dtype):
    array = np.array([[-1000, 0, 500], [1000, 3000, 32000]], dtype)
    content = encoded(array)
    with pytest.raises(
        ValueRangeError, match=r'int(16|32) with values from -1000 to 32000: a type w'
    ):
        decode(content)
    for low, high in ((-1000, 3000), (0, 70000)):
        assert np.array_equal(grey_of(content, value_range=(low, high)), scaled(array, low, high))


def uint32_tiff(array):
    """The smallest TIFF that holds 32 bits without a sign, which neither library writes."""
    height, width = array.shape
    tags = [(256, 3, width), (257, 3, height), (258, 3, 32), (259, 3, 1), (262, 3, 1),
            (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, array.nbytes),
            (339, 3, 1)]  # fmt: skip
    directory = b''.join(
        number.to_bytes(2, 'little') + kind.to_bytes(2, 'little') + (1).to_bytes(4, 'little')
        + value.to_bytes(4, 'little')
        for number, kind, value in tags
    )  # fmt: skip
    place = (8 + array.nbytes).to_bytes(4, 'little')
    return (b'II*\0' + place + array.astype('<u4').tobytes() + len(tags).to_bytes(2, 'little')
            + directory + bytes(4))  # fmt: skip


def test_32_bits_without_a_sign_do_not_wrap():
    array = np.array([[0, 65535, 70000], [2**31, 3 * 10**9, 2**32 - 1]], np.uint32)
    with pytest.raises(ValueRangeError, match=r'uint32 with values from 0 to 4\.29497e.09'):
        decode(uint32_tiff(array))
    grey = grey_of(uint32_tiff(array), value_range=(0, 2**32 - 1))
    assert np.array_equal(grey, scaled(array, 0, 2**32 - 1))


def test_int32_above_16_bits_is_not_white():
    array = np.array([[0, 65536, 131072]], np.int32)
    assert grey_of(encoded(array), value_range=(0, 131072)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize('extension', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [3, 4])
def test_colour_of_16_bits(extension, channels):
    array = np.random.default_rng(0).integers(0, 4096, (4, 6, channels)).astype(np.uint16)
    if channels == 4:
        array[..., 3] = 65535
    array[0, 0, 3:] = 0  # transparent
    content = encoded(array, extension)
    expected = scaled(array[..., 2::-1], 0, 4095)
    if channels == 4:
        expected[0, 0] = CANVAS
    assert np.array_equal(decode(content, value_range=(0, 4095)), expected)
    expected = scaled(array[..., 2::-1], 0, 65535)
    if channels == 4:
        expected[0, 0] = CANVAS
    assert np.abs(decode(content).astype(int) - expected).max() <= 1  # Pillow's upper 8 bits


def test_8_bits_do_not_follow_the_range():
    array = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    for content in (encoded(array), encoded(array, '.png')):
        assert np.array_equal(decode(content, value_range=(0, 4095)), array[..., ::-1])
    grey = array[..., 0]
    assert np.array_equal(grey_of(encoded(grey), value_range=(0, 4095)), grey)


def test_white_is_zero():
    """Medical TIFFs: Pillow turns 8 bits, not 16."""
    for dtype, full in ((np.uint8, 255), (np.uint16, 65535)):
        array = np.array([[0, full // 5, full]], dtype)
        content = bytearray(saved(Image.fromarray(array), tiffinfo={262: 1}))
        entry = bytes.fromhex('0601030001000000')  # tag 262, a short, one of it
        content[content.index(entry) + 8] = 0
        assert grey_of(bytes(content)).tolist() == [[255, 204, 0]]


def test_transparent_value_of_a_16_bit_png():
    array = np.array([[7, 13107, 65535]], np.uint16)
    pixels = decode(saved(Image.fromarray(array), 'PNG', transparency=7))
    assert pixels[0].tolist() == [list(CANVAS), [51] * 3, [255] * 3]


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'LA', 'CMYK', 'YCbCr', 'LAB',
                                  'I;16', 'F', 'I'])  # fmt: skip
def test_every_mode_is_read_in_colour_and_grey(mode):
    image = Image.new(mode, (6, 4), 1 if mode == 'F' else None)
    format = 'PNG' if mode in ('P', 'RGBA', 'LA', 'I;16') else 'TIFF'
    content = saved(image, format)
    value_range = (0, 10) if mode == 'I' else None
    assert decode(content, 'color', value_range).shape == (4, 6, 3)
    assert decode(content, 'grayscale', value_range).shape == (4, 6)


def turned(array, orientation):
    """EXIF 2.3, tag 274: where row 0 and column 0 of the file are in the picture."""
    return {
        1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1],
        5: array.swapaxes(0, 1), 6: array.swapaxes(0, 1)[:, ::-1],
        7: array[::-1, ::-1].swapaxes(0, 1), 8: array.swapaxes(0, 1)[::-1],
    }[orientation]  # fmt: skip


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp', 'tiff', 'tiff 16', 'png 16', 'colour 16'])
def test_orientation(orientation, kind):
    exif = Image.Exif()
    exif[274] = orientation
    array = np.zeros((32, 48, 3), np.uint8)
    array[:16, :16] = 255  # a corner
    value_range = None
    if kind.endswith('16'):
        deep = array[..., 0].astype(np.uint16) * 257
        content = saved(Image.fromarray(deep), kind.split()[0].replace('colour', 'png'), exif=exif)
        if kind == 'colour 16':  # the EXIF of a PNG is a chunk before the pixels
            chunk = b'eXIf' + exif.tobytes()[6:]
            chunk = (
                (len(chunk) - 4).to_bytes(4, 'big') + chunk + zlib.crc32(chunk).to_bytes(4, 'big')
            )
            content = encoded(np.dstack([deep] * 3), '.png')
            content = content[:33] + chunk + content[33:]
            value_range = (0, 65535)
    else:
        options = (
            dict(lossless=True) if kind == 'webp' else dict(quality=100) if kind == 'jpeg' else {}
        )
        content = saved(Image.fromarray(array), kind, exif=exif, **options)
    pixels = decode(content, value_range=value_range)
    expected = turned(array, orientation)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 3


def test_orientation_can_be_ignored_and_broken_exif_is():
    exif = Image.Exif()
    exif[274] = 6
    content = saved(Image.new('RGB', (20, 10)), 'JPEG', exif=exif)
    assert decode(content, 'color_ignore_orientation').shape == (10, 20, 3)
    content = saved(Image.new('RGB', (20, 10)), 'JPEG', exif=b'Exif\0\0II*\0\xff\xff\xff\xff')
    assert decode(content).shape == (10, 20, 3)


@pytest.fixture
def low_limits(monkeypatch):
    """As if 100 pixels were Pillow's 89 million."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    monkeypatch.setattr(PngImagePlugin, 'MAX_TEXT_CHUNK', 1000)
    monkeypatch.setattr(PngImagePlugin, 'MAX_TEXT_MEMORY', 2000)


def limits():
    return Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY


def test_large_pictures_and_long_texts_are_read(low_limits):
    before = limits()
    array = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    info = PngImagePlugin.PngInfo()
    for i in range(3):
        info.add_text(f'log {i}', 'x' * 5000, zip=True)
    for content in (saved(Image.fromarray(array)), saved(Image.fromarray(array), 'PNG'),
                    saved(Image.fromarray(array), 'PNG', pnginfo=info),
                    saved(Image.fromarray(array), 'PNG', icc_profile=bytes(5000))):  # fmt: skip
        assert np.array_equal(decode(content), array)
        with pytest.raises(
            ValueError, match='40 x 30 are 1,200 pixels, more than max_pixels=1,199'
        ):
            decode(content, max_pixels=1199)
        assert limits() == before  # nothing changes for others


def test_limits_are_restored_by_threads_that_decode_side_by_side(low_limits):
    before, failures = limits(), []
    content = saved(Image.new('RGB', (40, 30)), 'PNG')

    def read():
        for _ in range(20):
            try:
                decode(content)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures and limits() == before


@pytest.mark.parametrize('value', [(1, 0), (0, 0), (0,), (0, 1, 2), 'ab', 5, (0, float('inf'))])
def test_bad_ranges(value):
    with pytest.raises(ValueError, match='value_range must be two numbers, black and white'):
        LoadImage(value_range=value)


def test_formats_that_a_package_teaches_pillow(monkeypatch):
    """As pillow-heif does: what the log recommends is enough, no import in a config."""
    from PIL import PpmImagePlugin

    from greenmim_mm.datasets import opening

    class NewImageFile(PpmImagePlugin.PpmImageFile):
        format = 'NEW'

        def _open(self):
            self.fp.read(3)
            super()._open()

    def register():
        Image.register_open('NEW', NewImageFile, lambda prefix: prefix.startswith(b'NEW'))

    module = ModuleType('pillow_heif')
    module.register_heif_opener = register
    content = b'NEW' + saved(Image.new('RGB', (3, 2), (1, 2, 3)), 'PPM')
    monkeypatch.setattr(Image, 'ID', list(Image.ID))
    monkeypatch.setattr(Image, 'OPEN', dict(Image.OPEN))
    for known in (None, module):
        monkeypatch.setitem(sys.modules, 'pillow_heif', known)
        opening._register_plugins.cache_clear()
        if known is None:
            with pytest.raises(UnidentifiedImageError):
                decode(content)
        else:
            assert decode(content).tolist() == [[[1, 2, 3]] * 3] * 2
    opening._register_plugins.cache_clear()

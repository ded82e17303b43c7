"""Kinds of TIFF that Pillow reads wrongly or not at all: refused, with the reason and a way out."""

import io

import cv2
import numpy as np
import pytest

from greenmim_mm.datasets import LoadImage, PictureError, ValueRangeError, decode
from greenmim_mm.datasets.opening import open_picture

from .test_decoding import encoded, grey_of, scaled

LONG, SHORT = 4, 3


def tiff(*planes, kind=1, photometric=1, channels=None):
    """The smallest TIFF of a strip per plane, which no library here writes."""
    bits, height, width = planes[0].itemsize * 8, *planes[0].shape[:2]
    channels = channels or len(planes)
    pixels = b''.join(plane.tobytes() for plane in planes)
    extra = bytearray(np.array([bits] * channels + [kind] * channels, '<u2').tobytes())
    start = 8 + len(pixels)

    def place(values, code):
        raw = np.array(values, '<u2' if code == SHORT else '<u4').tobytes()
        if len(raw) <= 4:
            return len(values), raw.ljust(4, b'\0')
        at = start + len(extra)
        extra.extend(raw)
        return len(values), at.to_bytes(4, 'little')

    strips = len(planes)
    entries = [(256, SHORT, [width]), (257, SHORT, [height]), (258, SHORT, [bits] * channels),
               (259, SHORT, [1]), (262, SHORT, [photometric]),
               (273, LONG, [8 + i * planes[0].nbytes for i in range(strips)]),
               (277, SHORT, [channels]), (278, SHORT, [height]),
               (279, LONG, [planes[0].nbytes] * strips), (284, SHORT, [1 + (strips > 1)]),
               (339, SHORT, [kind] * channels)]  # fmt: skip
    written = b''
    for number, code, values in entries:
        count, raw = place(values, code)
        head = number.to_bytes(2, 'little') + code.to_bytes(2, 'little')
        written += head + count.to_bytes(4, 'little') + raw
    directory = (start + len(extra)).to_bytes(4, 'little')
    count = len(entries).to_bytes(2, 'little')
    return b'II*\0' + directory + pixels + bytes(extra) + count + written + bytes(4)


@pytest.mark.parametrize('array', [
    np.linspace(-100, 100, 12).astype(np.int8).reshape(3, 4), np.full((3, 4), 5, np.int8),
])  # fmt: skip
def test_8_bits_with_a_sign_do_not_wrap(array):
    """A ramp from -100 to 100 became [156, 207, 1, 100]."""
    content = tiff(array, kind=2)
    with pytest.raises(ValueRangeError, match=rf'int8 with values from {array.min()} to .*set'):
        decode(content)
    grey = grey_of(content, value_range=(-100, 100))
    assert np.array_equal(grey, scaled(array, -100, 100))


@pytest.mark.parametrize('value_range', [None, (0, 4095)])
@pytest.mark.parametrize('channels', [3, 4])
def test_separate_planes_of_16_bits_are_refused(value_range, channels):
    """Pillow and OpenCV both read them as noise; those of 8 bits are right."""
    planes = np.random.default_rng(0).integers(0, 4096, (channels, 8, 6)).astype(np.uint16)
    with pytest.raises(
        PictureError, match=rf'uint16 in {channels} channels in separate planes: save it with'
    ):
        decode(tiff(*planes, photometric=2), value_range=value_range)
    planes = (planes[:3] // 16).astype(np.uint8)
    assert np.array_equal(decode(tiff(*planes, photometric=2)), planes.transpose(1, 2, 0))
    twin = np.ascontiguousarray(planes.transpose(1, 2, 0)).astype(np.uint16) * 16
    read = decode(tiff(twin, photometric=2, channels=3), value_range=(0, 4095))
    assert np.array_equal(read, scaled(twin, 0, 4095))


@pytest.mark.parametrize('content,words', [
    (encoded(np.zeros((4, 6))), r'TIFF of float64 in 1 channel, .*as grey .*float32.*as colour'),
    (tiff(np.zeros((4, 6, 3), np.float32), kind=3, channels=3), 'TIFF of float32 in 3 channels'),
    (tiff(np.zeros((4, 6), np.float16), kind=3), 'TIFF of float16 in 1 channel'),
    (tiff(np.zeros((4, 6, 3), np.int8), kind=2, channels=3), 'TIFF of int8 in 3 channels'),
    (encoded(np.zeros((4, 6)))[:12], 'TIFF with broken tags'),
    (b'', 'the file is empty'),
    (b'hello', 'of no format that Pillow knows'),
])  # fmt: skip
def test_what_pillow_does_not_know_has_a_reason(tmp_path, content, words):
    """It was: cannot identify image file <_io.BytesIO object at 0x...>."""
    (tmp_path / 'a.tif').write_bytes(content)
    with pytest.raises(PictureError, match=rf'a\.tif cannot be read \((a |the )?{words}') as said:
        LoadImage()(dict(img_path=str(tmp_path / 'a.tif')))
    assert 'BytesIO' not in str(said.value)
    for file in (str(tmp_path / 'a.tif'), io.BytesIO(content)):
        with pytest.raises(OSError, match=words):
            open_picture(file, pixels=False)


def test_the_writer_above_writes_what_others_read():
    array = np.arange(24, dtype=np.uint16).reshape(4, 6)
    read = cv2.imdecode(np.frombuffer(tiff(array), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read, array)

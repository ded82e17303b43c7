import logging

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from greenmim_mm.datasets import UnlabelledImages


@pytest.fixture
def images(tmp_path):
    for name, size, mode in (('a/1.jpg', (40, 30), 'RGB'), ('a/b/c/2.PNG', (50, 60), 'RGBA'),
                             ('d/3.tif', (70, 20), 'L'), ('d/4.jpg', (40, 30), 'RGB')):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size).save(tmp_path / name)
    (tmp_path / 'a' / 'notes.txt').write_text('no image')
    return tmp_path


def names(dataset, root):
    return [
        dataset.get_data_info(i)['img_path'].replace(f'{root}/', '') for i in range(len(dataset))
    ]


def test_folder_of_any_depth(images):
    dataset = UnlabelledImages(str(images), pipeline=[])
    assert names(dataset, images) == ['a/1.jpg', 'a/b/c/2.PNG', 'd/3.tif', 'd/4.jpg']


def test_order_is_that_of_the_names(tmp_path):
    """Also where a folder holds folders only: the file system's order is anyone's guess."""
    for name in 'cadb':
        (tmp_path / 'x' / name).mkdir(parents=True)
        Image.new('L', (4, 4)).save(tmp_path / 'x' / name / '1.png')
    dataset = UnlabelledImages(str(tmp_path), pipeline=[])
    assert names(dataset, tmp_path) == [f'x/{name}/1.png' for name in 'abcd']


def test_list_file_and_several_sources(images):
    (images / 'list.txt').write_text(f'# some\nd/4.jpg\n\n{images}/a/1.jpg\n')
    dataset = UnlabelledImages([str(images / 'list.txt'), str(images / 'd')], pipeline=[])
    assert names(dataset, images) == ['d/4.jpg', 'a/1.jpg', 'd/3.tif']  # each file once


def test_linked_folders_are_followed(images, tmp_path_factory):
    link = tmp_path_factory.mktemp('links') / 'to'
    link.symlink_to(images / 'a')
    assert len(UnlabelledImages(str(link.parent), pipeline=[])) == 2


@pytest.fixture
def said(caplog):
    """What the data set says at the start."""
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_summary(images, said):
    (images / 'd' / '5.jpg').write_bytes(b'broken')
    UnlabelledImages([str(images / 'a'), str(images / 'd')], pipeline=[])
    (text,) = said.messages
    for part in (f'5 images ({images}/a: 2, {images}/d: 3): 3 .jpg, 1 .png, 1 .tif',
                 'of 5 looked at: width 40 to 70 (median 45), height 20 to 60 (median 30)',
                 'modes RGB 2, RGBA 1, L 1', f'1 unreadable, first {images}/d/5.jpg'):  # fmt: skip
        assert part in text, text


def test_what_is_left_out_and_not_read_is_said(images, said):
    for name in ('.ipynb_checkpoints/1.jpg', '@eaDir/2.jpg', '.thumbnails/3.jpg', 'a/._1.jpg'):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(b'x')
    for name in ('1.heic', 'a/2.HEIC', '3.avif', '4.jp2', '5.CR2', 'n01.tar', 'notes.docx'):
        (images / name).write_bytes(b'x')
    (images / 'd' / 'again.jpg').symlink_to(images / 'd' / '4.jpg')
    (images / 'd' / 'gone.jpg').symlink_to(images / 'nowhere.jpg')
    dataset = UnlabelledImages([images, images / 'd'], pipeline=[])
    assert names(dataset, images) == ['a/1.jpg', 'a/b/c/2.PNG', 'd/3.tif', 'd/4.jpg']
    _, left_out, unread = said.messages
    for part in ('3 hidden folders', f'1 hidden files (first {images}/a/._1.jpg)',
                 '3 names of pictures that are there already', '1 links to nothing'):  # fmt: skip
        assert part in left_out, left_out
    for part in ('2 .heic (pip install pillow-heif, and add .heic', '1 .avif (Pillow from 11.3',
                 '1 .jp2 (Pillow reads them: add .jp2', '1 .cr2 (rawpy reads them',
                 '1 .tar (archives: unpack them)'):  # fmt: skip
        assert part in unread, unread
    assert 'docx' not in unread


def test_range_of_brightness_is_said_and_suggested(tmp_path, said):
    for i in range(3):
        grey = np.array([[16, 4013 - i]], np.uint16)
        Image.fromarray(grey).save(tmp_path / f'{i}.png')
    load = dict(type='greenmim_mm.LoadImage')
    UnlabelledImages(tmp_path, pipeline=[load])
    option = 'train_dataloader.dataset.pipeline.0.value_range'
    for part in ('3 of more than 8 bits: uint16 (black at 0, white at 65,535) with values from '
                 '16 to 4,013 in 3 read',
                 f'12-bit camera, --cfg-options {option}=0,4095'):  # fmt: skip
        assert part in said.messages[0], said.messages
    dataset = UnlabelledImages(tmp_path, pipeline=[dict(load, value_range=[0, 4095])])
    assert 'uint16 (black at 0, white at 4,095) with values from 16' in said.messages[1]
    assert '--cfg-options' not in said.messages[1]
    assert dataset[0]['img'][0, 1, 0] == round(4013 / 4095 * 255)


def test_range_of_colours(tmp_path, said):
    colours = np.array([[[16, 1000, 4013]]], np.uint16)
    cv2.imwrite(str(tmp_path / 'a.png'), colours)
    UnlabelledImages(tmp_path, pipeline=[dict(type='greenmim_mm.LoadImage')])
    assert 'white at 65,535) with values from 16 to 4,013 in 1 read: if these' in said.messages[0]


def test_brightness_without_a_scale_ends_before_training(tmp_path):
    values = np.array([[-3, 900]], np.int32)
    Image.fromarray(values).save(tmp_path / 'depth.tif')
    load = dict(type='greenmim_mm.LoadImage', on_error='skip')
    with pytest.raises(ValueError, match=r'depth\.tif: int32 with values from -3 to 900.*'
                       r'pipeline\.0\.value_range=-3,900'):  # fmt: skip
        UnlabelledImages(tmp_path, pipeline=[load])
    dataset = UnlabelledImages(tmp_path, pipeline=[load], sample=0)
    with pytest.raises(ValueError, match=r'depth\.tif: int32'):  # not skipped as if it were broken
        dataset[0]


def test_only_broken_pictures_end_before_training(images):
    for file in images.rglob('*.*'):
        file.write_bytes(b'hello')
    with pytest.raises(
        ValueError, match=r'none of 4 pictures looked at can be read, first .*1\.jpg'
    ):
        UnlabelledImages(images, pipeline=[])


def test_what_is_missing_is_named(images):
    with pytest.raises(FileNotFoundError, match=r'neither a folder nor a list file: .*/gone'):
        UnlabelledImages(str(images / 'gone'), pipeline=[])
    for sources, words in (([], 'got none'), (None, 'got None'), ({'a': 1}, "got {'a': 1}"),
                           ('', "got ''"), (2024, 'got 2024. A folder whose name is a number: ./'),
                           ([images, 7], 'got 7'), ([images, None], 'got None')):  # fmt: skip
        with pytest.raises(
            ValueError, match=r'data_root must name a folder, .*\.data_root'
        ) as said:
            UnlabelledImages(sources, pipeline=[])
        assert words in str(said.value)
    (images / 'list.txt').write_text('a/1.jpg\na/9.jpg\n')
    with pytest.raises(FileNotFoundError, match=r'1 of 2 files of .*list\.txt .* first .*a/9\.jpg'):
        UnlabelledImages(str(images / 'list.txt'), pipeline=[])
    (images / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'no image in .*empty'):
        UnlabelledImages(str(images / 'empty'), pipeline=[])


def test_it_trains_through_its_config_name(images):
    from greenmim_mm.registry import DATASETS

    load = dict(type='greenmim_mm.LoadImage')
    cfg = dict(type='greenmim_mm.UnlabelledImages', data_root=str(images), pipeline=[load])
    dataset = DATASETS.build(cfg)
    assert [dataset[i]['img'].shape for i in range(2)] == [(30, 40, 3), (60, 50, 3)]
    assert dataset[0]['img'].dtype == np.uint8

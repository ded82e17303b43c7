import logging

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
    assert names(dataset, images) == ['d/4.jpg', 'a/1.jpg', 'd/3.tif', 'd/4.jpg']


def test_linked_folders_are_followed(images, tmp_path_factory):
    link = tmp_path_factory.mktemp('links') / 'to'
    link.symlink_to(images / 'a')
    assert len(UnlabelledImages(str(link.parent), pipeline=[])) == 2


def test_summary(images, caplog):
    (images / 'd' / '5.jpg').write_bytes(b'broken')
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    UnlabelledImages([str(images / 'a'), str(images / 'd')], pipeline=[])
    logger.removeHandler(caplog.handler)
    (text,) = caplog.messages
    for part in (f'5 images ({images}/a: 2, {images}/d: 3): 3 .jpg, 1 .png, 1 .tif',
                 'of 5 looked at: width 40 to 70 (median 45), height 20 to 60 (median 30)',
                 'modes RGB 2, RGBA 1, L 1', f'1 unreadable, first {images}/d/5.jpg'):  # fmt: skip
        assert part in text, text


def test_what_is_missing_is_named(images):
    with pytest.raises(FileNotFoundError, match=r'neither a folder nor a list file: .*/gone'):
        UnlabelledImages(str(images / 'gone'), pipeline=[])
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

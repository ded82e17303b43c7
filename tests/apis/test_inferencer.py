"""Reconstructions put things back where they were; bad input is named."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from PIL import Image

from greenmim_mm.apis import GreenMIMInferencer
from greenmim_mm.datasets import PictureError
from greenmim_mm.registry import MODELS

CONFIG = 'configs/greenmim/swin_demo_pretrain.py'


def tiny_config(norm_pix=True):
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.arch.embed_dims = 16
    cfg.model.neck.in_channels = 64
    cfg.model.head.norm_pix = norm_pix
    return cfg


@pytest.fixture
def checkpoint(tmp_path):
    cfg = tiny_config()
    cfg.model.data_preprocessor.type = 'mmpretrain.SelfSupDataPreprocessor'
    cfg.model.head.loss.type = 'mmpretrain.PixelReconstructionLoss'  # in any default scope
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'mim.pth')
    return str(tmp_path / 'mim.pth')


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name, size in (('a.jpg', (150, 200)), ('deep/er/b.png', (128, 128)), ('c.bmp', (300, 140))):
        file = tmp_path / 'images' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        image = random.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(image).save(file)
    (tmp_path / 'images' / 'notes.txt').write_text('no image')
    return tmp_path / 'images'


def test_pictures_are_read_as_in_training(checkpoint, tmp_path):
    """A 12-bit camera: its white is the model's white here, too."""
    grey = np.full((128, 128), 4095, np.uint16)
    Image.fromarray(grey).save(tmp_path / 'white.png')
    cfg = tiny_config()
    for value_range, level in ((None, 16), ([0, 4095], 255)):
        cfg.train_dataloader.dataset.pipeline[0].value_range = value_range
        inferencer = GreenMIMInferencer(cfg, checkpoint, device='cpu')
        (result,) = inferencer(str(tmp_path / 'white.png'))['predictions']
        assert (result.original == level).all()


def test_folder_in_pictures_out(checkpoint, folder, tmp_path):
    inferencer = GreenMIMInferencer(tiny_config(), checkpoint, device='cpu')
    results = inferencer(str(folder), batch_size=2, out_dir=str(tmp_path / 'out'))
    assert len(results['predictions']) == len(results['visualization']) == 3
    for result in results['predictions']:
        pixels = result.visible.repeat(16, 0).repeat(16, 1)
        assert result.visible.mean() == 0.25
        assert np.array_equal(result.pasted[pixels], result.original[pixels])
        assert np.array_equal(result.pasted[~pixels], result.prediction[~pixels])
        assert (result.visible_part[~pixels] == 127).all()
    exact = np.asarray(Image.open(folder / 'deep/er/b.png'))  # 128 px: nothing is resized
    assert np.array_equal(results['predictions'][2].original, exact)
    files = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert files == ['0000_a.png', '0001_c.png', '0002_b.png']
    written = np.asarray(Image.open(tmp_path / 'out' / files[2]))
    assert np.array_equal(written, results['visualization'][2]) and written.shape == (128, 512, 3)


def test_normalised_targets_are_undone(checkpoint):
    """A decoder that says 'one deviation above the mean' gives mean + deviation of each unit."""
    inferencer = GreenMIMInferencer(tiny_config(), checkpoint, device='cpu')
    decoder = inferencer.model.neck.decoder_pred
    torch.nn.init.zeros_(decoder.weight), torch.nn.init.ones_(decoder.bias)
    image = np.random.default_rng(0).integers(60, 190, (128, 128, 3), dtype=np.uint8)
    result = inferencer(image)['predictions'][0]
    mean = np.array(inferencer.model.data_preprocessor.mean.flatten())
    std = np.array(inferencer.model.data_preprocessor.std.flatten())
    rgb = (image[..., ::-1] - mean) / std
    for row in range(8):
        for column in range(8):
            place = np.s_[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            unit = rgb[place]  # MAE normalises the three colours of a unit together
            expected = (unit.mean() + unit.std(ddof=1)) * std + mean
            assert np.abs(result.prediction[place].reshape(-1, 3) - expected).max() <= 1


def test_seed_and_mask_ratio(checkpoint):
    inferencer = GreenMIMInferencer(tiny_config(), checkpoint, device='cpu')
    images = [np.zeros((128, 128, 3), np.uint8)] * 2

    def masks(**kwargs):
        return np.stack([r.visible for r in inferencer(images, **kwargs)['predictions']])

    assert np.array_equal(masks(seed=1), masks(seed=1))
    assert not np.array_equal(masks(seed=1), masks(seed=2))
    assert not np.array_equal(*masks())  # one mask per image
    assert masks(mask_ratio=0.5).mean() == 0.5


def test_bad_input_is_named(checkpoint, tmp_path):
    cfg = tiny_config()
    for size, message in (
        (100, r'img_size=100 .*multiples of the mask unit \(16 pixels\), got \(100, 100\)'),
        ((64, 100), r'img_size=\(64, 100\) .*\(16 pixels\), got \(64, 100\)'),
        (16, 'img_size=16 .*leaves 0 of 1 mask units'),
        ((64,), r'img_size must be a number of pixels or \(height, width\), got \(64,\)'),
        ('64', "img_size must be .* got '64'"),
        (-32, 'img_size must be .* got -32'),
    ):
        with pytest.raises(ValueError, match=message):
            GreenMIMInferencer(cfg, checkpoint, img_size=size)
    cfg.model.backbone.arch.embed_dims = 32
    with pytest.raises(ValueError, match=r'mim\.pth does not fit the config'):
        GreenMIMInferencer(cfg, checkpoint)
    with pytest.raises(ValueError, match=r'config must be of GreenMIM pre-training, got .*Classif'):
        other = Config.fromfile('configs/greenmim/swin_t_finetune.py')
        GreenMIMInferencer(other, checkpoint)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'no image \(.*\) below .*empty'):
        GreenMIMInferencer(tiny_config(), checkpoint)(str(tmp_path / 'empty'))


def test_sizes_that_are_not_square(checkpoint):
    """The largest part in the middle that has the ratio, at any ratio of the image."""
    inferencer = GreenMIMInferencer(tiny_config(), checkpoint, device='cpu', img_size=(64, 160))
    same, tall, wide = (
        np.zeros((*size, 3), np.uint8) for size in ((64, 160), (320, 160), (64, 800))
    )
    same[:, :80] = tall[:, :80] = 255
    tall[:128] = tall[-128:] = 90  # cut away
    wide[:, 320:400] = 255
    wide[:, :320] = wide[:, 480:] = 90
    for result in inferencer([same, tall, wide])['predictions']:
        assert result.visible.shape == (4, 10) and result.pasted.shape == (64, 160, 3)
        assert (result.original[:, :76] == 255).all() and (result.original[:, 84:] == 0).all()
    cfg = tiny_config()
    cfg.model.backbone.img_size = [64, 160]  # height, width, as the backbone takes it
    assert GreenMIMInferencer(cfg, checkpoint)(same)['predictions'][0].visible.shape == (4, 10)


def one_channel_config():
    cfg = tiny_config()
    cfg.model.backbone.in_channels = 1
    cfg.model.neck.out_channels = cfg.model.head.in_channels = 1
    cfg.model.data_preprocessor.update(
        type='mmpretrain.SelfSupDataPreprocessor', mean=[120.0], std=[60.0], to_rgb=False
    )
    cfg.train_dataloader.dataset.pipeline[0].color_type = 'grayscale'
    return cfg


def test_one_channel(tmp_path, folder):
    torch.save(dict(state_dict=MODELS.build(one_channel_config().model).state_dict()),
               tmp_path / 'grey.pth')  # fmt: skip
    inferencer = GreenMIMInferencer(one_channel_config(), str(tmp_path / 'grey.pth'), device='cpu')
    grey = np.random.default_rng(0).integers(0, 255, (128, 128), dtype=np.uint8)
    results = inferencer([grey, grey[..., None]], out_dir=str(tmp_path / 'out'))['predictions']
    for result in results:
        assert np.array_equal(result.original, grey[..., None].repeat(3, 2))
        assert (result.prediction[..., 0] == result.prediction[..., 2]).all()
    # files are read as the config reads its training images
    file = folder / 'deep/er/b.png'
    expected = np.asarray(Image.open(file).convert('L'))
    assert np.array_equal(inferencer(str(file))['predictions'][0].original[..., 0], expected)
    colour = np.zeros((128, 128, 3), np.uint8)
    with pytest.raises(ValueError, match=r'array has 3 channels, the model takes 1.*color_type'):
        inferencer(colour)


def test_swapping_colours_of_grey_images_is_refused():
    cfg = one_channel_config()
    cfg.model.data_preprocessor.to_rgb = True
    with pytest.raises(ValueError, match=r'to_rgb must be False .* got head\.in_channels=1'):
        MODELS.build(cfg.model)


@pytest.mark.parametrize('kind', ['LoadImage', 'LoadImageFromFile'])
@pytest.mark.parametrize('batch_size', [1, 2])
def test_broken_pictures_of_a_folder_are_left_out_and_named(
    checkpoint, folder, tmp_path, caplog, kind, batch_size
):
    """The first one ended the run, with advice that the config followed already."""
    cfg = tiny_config()
    cfg.train_dataloader.dataset.pipeline[0] = dict(
        type='greenmim_mm.LoadImage' if kind == 'LoadImage' else kind
    )
    whole = (folder / 'a.jpg').read_bytes()
    (folder / 'a.jpg').write_bytes(b'hello')
    (folder / 'b.jpg').write_bytes(b'')
    inferencer = GreenMIMInferencer(cfg, checkpoint, device='cpu')
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    results = inferencer(str(folder), batch_size, out_dir=str(tmp_path / 'out'))
    logger.removeHandler(caplog.handler)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['0000_c.png',
                                                                          '0001_b.png']  # fmt: skip
    exact = np.asarray(Image.open(folder / 'deep/er/b.png'))
    assert np.array_equal(results['predictions'][1].original, exact)
    assert list(results['left_out']) == [f'{folder}/a.jpg', f'{folder}/b.jpg']
    said = [text for text in caplog.messages if 'cannot be read' in text]
    assert len(said) == 2 and f'image {folder}/a.jpg cannot be read (' in said[0]
    with pytest.raises(PictureError, match=r'a\.jpg cannot be read \(.*\); leave it out') as error:
        inferencer([str(folder / 'c.bmp'), str(folder / 'a.jpg')])
    assert 'on_error' not in str(error.value)
    for name in ('c.bmp', 'deep/er/b.png'):
        (folder / name).write_bytes(b'hello')
    with pytest.raises(PictureError, match=r'none of 4 pictures can be read, first .*a\.jpg \('):
        inferencer(str(folder))
    (folder / 'a.jpg').write_bytes(whole)  # nothing is remembered
    assert len(inferencer(str(folder / 'a.jpg'))['predictions']) == 1


def test_a_brightness_without_a_scale_is_never_left_out(checkpoint, folder):
    Image.fromarray(np.array([[-3, 900]], np.int32)).save(folder / 'depth.tif')
    with pytest.raises(PictureError, match=r'depth\.tif: int32 with values from -3 to 900'):
        GreenMIMInferencer(tiny_config(), checkpoint, device='cpu')(str(folder))

"""Reconstructions put things back where they were; bad input is named."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from greenmim_mm.apis import GreenMIMInferencer
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
    with pytest.raises(ValueError, match=r'img_size must be a multiple .* 16 pixels.* got 100'):
        GreenMIMInferencer(cfg, checkpoint, img_size=100)
    cfg.model.backbone.arch.embed_dims = 32
    with pytest.raises(ValueError, match=r'mim\.pth does not fit the config'):
        GreenMIMInferencer(cfg, checkpoint)
    with pytest.raises(ValueError, match=r'config must be of GreenMIM pre-training, got .*Classif'):
        other = Config.fromfile('configs/greenmim/swin_t_finetune.py')
        GreenMIMInferencer(other, checkpoint)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'no image \(.*\) below .*empty'):
        GreenMIMInferencer(tiny_config(), checkpoint)(str(tmp_path / 'empty'))

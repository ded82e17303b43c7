import logging

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint

from greenmim_mm.models import GreenSwinTransformer
from tests.conftest import TINY


def pretrained_cfg(path, prefix='backbone.'):
    return dict(type='Pretrained', checkpoint=str(path), prefix=prefix)


def build(path=None, window=4, prefix='backbone.', arch=TINY, out_indices=(0, 1, 2, 3)):
    init_cfg = None if path is None else pretrained_cfg(path, prefix)
    return GreenSwinTransformer(
        arch, window_size=window, out_indices=out_indices, init_cfg=init_cfg
    )


@pytest.fixture
def checkpoint(tmp_path):
    """As ``tools/train.py`` leaves it: a whole model, one output norm, foreign keys beside it."""
    torch.manual_seed(1)
    source = build(out_indices=(3,))
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    state_dict = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    state_dict['neck.mask_token'] = torch.zeros(1)
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=state_dict, meta=dict(epoch=1)), path)
    return path, source


def test_every_tensor_is_loaded(checkpoint, caplog):
    path, source = checkpoint
    model = build(path)
    model.init_weights()
    loaded = model.state_dict()
    for name, value in source.state_dict().items():
        assert torch.equal(loaded[name], value), name
    new = set(loaded) - set(source.state_dict())
    assert {name.split('.')[0] for name in new} == {'norm0', 'norm1', 'norm2'}


@pytest.mark.parametrize('prefix', [None, '', 'encoder.', 'backbone.stages'])
def test_wrong_or_missing_prefix_is_an_error(checkpoint, prefix):
    path, source = checkpoint
    model = build(path, prefix=prefix)
    with pytest.raises(ValueError, match=r'prefix=.*backbone\.'):
        model.init_weights()
    for name in ('stages.0.blocks.0.ffn.layers.0.0.weight', 'patch_embed.projection.weight'):
        assert not torch.equal(model.state_dict()[name], source.state_dict()[name])


def test_other_shapes_are_an_error(checkpoint):
    path, _ = checkpoint
    wider = dict(embed_dims=32, depths=[2, 2, 2, 2], num_heads=[1, 2, 2, 4])
    with pytest.raises(ValueError, match=r'shapes differ: .*checkpoint \(16.*model \(32'):
        build(path, arch=wider).init_weights()


@pytest.mark.parametrize('depths,message', [
    ([2, 2, 4, 2], 'keys of the model are missing in the checkpoint: stages.2.blocks.2'),
    ([2, 2, 1, 2], 'keys of the checkpoint are unknown to the model: stages.2.blocks.1'),
])  # fmt: skip
def test_other_depths_are_an_error(checkpoint, depths, message):
    path, _ = checkpoint
    with pytest.raises(ValueError, match=message):
        build(path, arch=dict(TINY, depths=depths)).init_weights()


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.pth'):
        build(tmp_path / 'gone.pth').init_weights()


def test_other_window_resizes_the_table_and_says_so(checkpoint, caplog):
    path, source = checkpoint
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    model = build(path, window=7)
    model.init_weights()
    logger.removeHandler(caplog.handler)
    assert 'resized from window 4 (49 rows) to window 7 (169 rows)' in caplog.text
    for old, new in zip(source.stages[1].blocks, model.stages[1].blocks):
        small = old.attn.w_msa.relative_position_bias_table
        large = new.attn.w_msa.relative_position_bias_table
        assert large.shape == (169, 2)
        # corners, edges' middles and the centre (no offset) keep their values
        small, large = small.view(7, 7, 2), large.view(13, 13, 2)
        torch.testing.assert_close(large[::6, ::6], small[::3, ::3], rtol=1e-4, atol=1e-4)
    expected = build(window=7).state_dict()
    index = 'stages.0.blocks.0.attn.w_msa.relative_position_index'
    assert torch.equal(model.state_dict()[index], expected[index])


def test_the_parents_load_it_with_nothing_renamed(tmp_path):
    from mmdet.models import SwinTransformer as DetSwin
    from mmpretrain.models import SwinTransformer

    torch.manual_seed(1)
    source = GreenSwinTransformer('tiny', out_indices=(0, 1, 2, 3))
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    path = tmp_path / 'whole.pth'
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in source.state_dict().items()}}, path)

    plain = SwinTransformer('tiny', out_indices=(0, 1, 2, 3), init_cfg=pretrained_cfg(path))
    plain.init_weights()
    det = DetSwin(init_cfg=ConfigDict(pretrained_cfg(path)))
    det.init_weights()
    for model in (plain, det):
        for name, value in source.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), (type(model), name)
    # and they compute the same
    image = torch.randn(1, 3, 224, 224)
    for model in (source, plain, det):
        model.eval()
    with torch.no_grad():
        for a, b, c in zip(source(image), plain(image), det(image)):
            assert torch.equal(a, b)
            # mmdet's Swin shifts the last map, which is as large as its window; ours and
            # mmpretrain's do with pad_small_map only
            if a.shape[-1] > 7:
                torch.testing.assert_close(a, c, rtol=1e-3, atol=1e-4)


def test_a_plain_swin_checkpoint_loads_into_ours(tmp_path):
    """The other direction, through mmengine's own loader."""
    from mmpretrain.models import SwinTransformer

    source = SwinTransformer(TINY, window_size=4)
    path = tmp_path / 'swin.pth'
    torch.save(source.state_dict(), path)
    model = GreenSwinTransformer(TINY, window_size=4)
    load_checkpoint(model, str(path), strict=True)
    assert torch.equal(model.norm3.weight, source.norm3.weight)


def test_two_pretrained_entries_are_an_error(checkpoint):
    path, _ = checkpoint
    model = GreenSwinTransformer(TINY, init_cfg=[pretrained_cfg(path), pretrained_cfg(path)])
    with pytest.raises(ValueError, match='at most one'):
        model.init_weights()

import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.models import MAEPretrainHead

from greenmim_mm.models import GreenMIM, GreenMIMHead, GreenMIMNeck
from greenmim_mm.registry import MODELS
from greenmim_mm.sparsity import RandomMasking
from tests.conftest import TINY


def model_cfg(**kwargs):
    cfg = dict(
        type='greenmim_mm.GreenMIM',
        backbone=dict(
            type='greenmim_mm.GreenSwinTransformer', arch=TINY, window_size=4, drop_path_rate=0.0
        ),
        neck=dict(type='greenmim_mm.GreenMIMNeck', in_channels=128, embed_dims=32, num_heads=4),
        head=dict(
            type='greenmim_mm.GreenMIMHead',
            norm_pix=True,
            patch_size=32,
            loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2'),
        ),
    )
    cfg.update(kwargs)
    return cfg


def head(norm_pix=True, cls=GreenMIMHead):
    loss = dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2')
    return cls(loss=loss, norm_pix=norm_pix, patch_size=32)


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('grid', [(4, 4), (2, 5), (3, 1)])
def test_decoder_puts_every_unit_at_its_place(per_image, grid):
    """Write the unit's index into its feature and read it back (defect 1 of the released code)."""
    neck = GreenMIMNeck(in_channels=8, embed_dims=8, num_heads=2)
    neck.mask_token.data.fill_(-1)
    visible = RandomMasking(0.6, 1, per_image)(grid, 3, seed=1)
    index = torch.arange(grid[0] * grid[1]).expand(len(visible), -1)
    features = index[visible.flatten(1)].view(len(visible), -1, 1).expand(3, -1, 8).float()
    restored = neck._restore(features, visible)
    expected = torch.where(visible.flatten(1), index, -1).float()[:, :, None].expand(3, -1, 8)
    assert torch.equal(restored, expected)


def test_patchify_equals_mmpretrain_on_squares_and_inverts_everywhere():
    square = torch.randn(2, 3, 96, 96)
    assert torch.equal(head().patchify(square), head(cls=MAEPretrainHead).patchify(square))
    wide = torch.randn(2, 3, 64, 160)
    assert torch.equal(head().unpatchify(head().patchify(wide), (2, 5)), wide)
    with pytest.raises(ValueError, match='grid must hold 10 units, got 3 x 3'):
        head().unpatchify(head().patchify(wide))


def test_denormalize_inverts_the_target():
    images = torch.randn(2, 3, 64, 96)
    target = head().construct_target(images)
    restored = head().unpatchify(head().denormalize(target, images), (2, 3))
    torch.testing.assert_close(restored, images, rtol=1e-4, atol=1e-4)


def naive_loss(model, images, visible):
    """Mean squared error of the hidden units, unit by unit, against normalised pixels."""
    pred = model.neck(model.backbone(images, visible)[-1], visible)
    errors = []
    for b in range(len(images)):
        mask = visible[b if len(visible) > 1 else 0]
        for row in range(mask.shape[0]):
            for col in range(mask.shape[1]):
                if mask[row, col]:
                    continue
                unit = images[b, :, 32 * row : 32 * row + 32, 32 * col : 32 * col + 32]
                target = unit.permute(1, 2, 0).flatten()
                target = (target - target.mean()) / (target.var() + 1e-6).sqrt()
                errors.append(((pred[b, row * mask.shape[1] + col] - target) ** 2).mean())
    return torch.stack(errors).mean()


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('size', [(128, 128), (64, 160)])
def test_loss_equals_the_naive_formula(per_image, size):
    model = MODELS.build(model_cfg(per_image=per_image, mask_seed=3))
    images = torch.randn(2, 3, *size)
    visible = model.draw_visible(images, iteration=0)
    MessageHub.get_current_instance().update_info('iter', 0)
    loss = model.loss(images)['loss']
    torch.testing.assert_close(loss, naive_loss(model, images, visible))
    assert len(visible) == (2 if per_image else 1)


def test_masks_follow_the_iteration_of_the_runner():
    model = MODELS.build(model_cfg())
    images = torch.randn(2, 3, 128, 128)
    hub = MessageHub.get_current_instance()
    drawn = []
    for iteration in (5, 6, 5):
        hub.update_info('iter', iteration)
        drawn.append(model.draw_visible(images))
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], model.masking((128, 128), 2, seed=0, iteration=5))


def test_it_learns():
    """A fixed batch: the loss falls well below that of predicting the mean, 1."""
    cfg = model_cfg(mask_seed=0)
    cfg['neck']['embed_dims'] = 64
    for part in ('backbone', 'neck'):
        cfg[part]['init_cfg'] = dict(type='Xavier', layer='Linear', distribution='uniform')
    model = MODELS.build(cfg)
    model.init_weights()
    coarse = torch.randn(4, 3, 4, 4)
    images = torch.nn.functional.interpolate(coarse, scale_factor=32, mode='bilinear')
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    MessageHub.get_current_instance().update_info('iter', 0)
    losses = []
    for _ in range(100):
        loss = model.loss(images)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9
    assert losses[-1] < 0.25


def test_reconstruct_returns_images():
    model = MODELS.build(model_cfg())
    images = torch.randn(2, 3, 64, 128)
    visible = model.masking((64, 128), 2, seed=0)
    assert model.reconstruct(images, visible).shape == images.shape


@pytest.mark.parametrize('part,change,message', [
    ('head', dict(patch_size=16), "backbone's mask unit, 32 pixels, got 16"),
    ('neck', dict(patch_size=16), 'predicts 768 numbers per unit instead of 3072'),
    ('neck', dict(embed_dims=30), r'multiple of num_heads \(4\).*got 30'),
    (None, dict(target_generator=dict(type='mmpretrain.HOGGenerator')),
     r'target_generator must be None, got .*HOGGenerator.*the target is the pixels'),
    (None, dict(pretrained='a.pth'), "pretrained must be None, got 'a.pth': set backbone.init_cfg"),
    (None, dict(mask_ratio=1.0), 'mask_ratio must be strictly between 0 and 1, got 1.0'),
])  # fmt: skip
def test_parts_that_do_not_fit(part, change, message):
    cfg = model_cfg()
    (cfg[part] if part else cfg).update(change)
    cfg.pop('type')
    with pytest.raises(ValueError, match=message):
        GreenMIM(**cfg)


def test_image_that_is_no_multiple_of_the_unit():
    model = MODELS.build(model_cfg())
    with pytest.raises(
        ValueError, match=r'multiples of the mask unit \(32 pixels\), got \(100, 128\)'
    ):
        model.loss(torch.randn(1, 3, 100, 128))


@pytest.mark.gpu
@pytest.mark.parametrize('per_image', [False, True])
def test_step_does_not_wait_for_the_device(per_image):
    model = MODELS.build(model_cfg(per_image=per_image)).cuda()
    images = torch.randn(2, 3, 128, 128, device='cuda')

    def step():
        with torch.autocast('cuda', torch.bfloat16):
            loss = model.loss(images)['loss']
        loss.backward()

    step()  # constants are made and kept
    torch.cuda.set_sync_debug_mode('error')
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode('default')

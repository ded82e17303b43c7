import pytest
import torch

from greenmim_mm.layers import merge_2x2
from greenmim_mm.sparsity import (
    RandomMasking,
    gather_patches,
    merge_z_order,
    scatter_to_grid,
    token_layout,
)
from greenmim_mm.sparsity.tokens import z_order


def random_visible(grid, num_masks=1, ratio=0.6, seed=0):
    masking = RandomMasking(ratio, unit=1, per_image=num_masks > 1)
    return masking(grid, num_masks, seed=seed)


def test_z_order_by_hand():
    layout = token_layout(torch.ones(1, 1, 1, dtype=torch.bool), side=4)
    raster = scatter_to_grid(torch.arange(16.0).view(1, 16, 1), layout)[0, :, :, 0]
    assert raster.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@pytest.mark.parametrize('num_masks', [1, 3])
def test_layout_holds_exactly_the_visible_tokens(num_masks):
    visible = random_visible((3, 5), num_masks)
    layout = token_layout(visible, side=4)
    ones = scatter_to_grid(torch.ones(num_masks, layout.row.shape[1], 1), layout)[..., 0]
    expected = visible.repeat_interleave(4, 1).repeat_interleave(4, 2).float()
    assert layout.grid == (12, 20)
    assert torch.equal(ones, expected)


@pytest.mark.parametrize('num_masks', [1, 2])
@pytest.mark.parametrize('unit,patch', [(32, 4), (16, 4), (8, 8)])
def test_gather_patches_equals_cutting_by_coordinates(num_masks, unit, patch):
    images = torch.rand(2, 3, 2 * unit, 4 * unit)
    visible = random_visible((2, 4), num_masks)
    patches = gather_patches(images, visible, patch, unit)
    layout = token_layout(visible, unit // patch)
    for b in range(2):
        mask = b if num_masks > 1 else 0
        for token, (r, c) in enumerate(zip(layout.row[mask], layout.col[mask])):
            cut = images[b, :, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch]
            assert torch.equal(patches[b, token], cut.flatten())


def test_merge_is_unfold_on_the_full_grid():
    """Channel order and place of a 2x2 merge are those of ``nn.Unfold``."""
    visible = torch.ones(1, 2, 3, dtype=torch.bool)
    fine, coarse = token_layout(visible, 4), token_layout(visible, 2)
    tokens = torch.rand(2, fine.row.shape[1], 5)
    merged = scatter_to_grid(merge_2x2(tokens), coarse)  # B x H/2 x W/2 x 4C
    full = scatter_to_grid(tokens, fine).permute(0, 3, 1, 2)
    expected = torch.nn.Unfold(2, stride=2)(full).transpose(1, 2).view_as(merged)
    assert torch.equal(merged, expected)


@pytest.mark.parametrize('visible,message', [
    (torch.ones(2, 2, dtype=torch.bool), r'shape \(N, Mh, Mw\), got torch.bool of shape \(2, 2\)'),
    (torch.ones(1, 2, 2), 'must be a bool tensor .* got torch.float32'),
    (torch.zeros(1, 2, 2, dtype=torch.bool), 'got between 0 and 0'),
    (torch.tensor([[[True, False]], [[True, True]]]), 'got between 1 and 2'),
])  # fmt: skip
def test_bad_visible(visible, message):
    with pytest.raises(ValueError, match=message):
        token_layout(visible, 1)


def test_side_must_be_a_power_of_two():
    with pytest.raises(ValueError, match='power of two, got 3'):
        token_layout(torch.ones(1, 1, 1, dtype=torch.bool), 3)


@pytest.mark.parametrize('side', [1, 2, 4, 8])
def test_merging_axes_gives_the_order_of_the_tokens(side):
    row, col = z_order(side)
    block = torch.randn(3, side, side, 5)
    assert torch.equal(merge_z_order(block, 1), block[:, row, col])

import hashlib
from itertools import product

import pytest
import torch

from greenmim_mm.sparsity import RandomMasking, unit_grid
from greenmim_mm.sparsity.masking import Purpose, derive_seed


def test_no_two_uses_share_a_seed():
    """All purposes, one to four integers of a small range, and some that are large."""
    numbers = (0, 1, 2, 5, 12, 2**32, 2**32 + 1)
    arguments = [
        (purpose, *entropy)
        for purpose in Purpose
        for length in range(1, 5)
        for entropy in product(numbers, repeat=length)
    ]
    seeds = {derive_seed(*each) for each in arguments}
    assert len(seeds) == len(arguments)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seed_stays_what_it_is():
    """Runs resume with it: BLAKE2b of 8 bytes of the text, one bit less."""
    digest = hashlib.blake2b(b'mask 3 0 7', digest_size=8).hexdigest()
    assert derive_seed(Purpose.MASK, 3, 0, 7) == int(digest, 16) // 2


def test_a_seed_needs_a_purpose():
    with pytest.raises(TypeError, match=r'purpose must be one of .* got 3'):
        derive_seed(3, 0, 7)


def test_a_mask_is_not_the_first_draw_of_its_step():
    """As it was when both were seeded by the same three numbers."""
    mask = RandomMasking(0.75)((224, 224), 1, seed=0, rank=0, iteration=5).flatten()
    for purpose in set(Purpose) - {Purpose.MASK}:
        torch.manual_seed(derive_seed(purpose, 0, 0, 5))
        nearest = torch.rand(49).argsort()[:12]
        assert set(nearest.tolist()) != set(mask.nonzero()[:, 0].tolist())


def test_mask_is_a_function_of_seed_rank_and_iteration():
    masking = RandomMasking(0.75)
    torch.manual_seed(1)
    first = masking((224, 224), 8, seed=3, rank=1, iteration=7)
    torch.manual_seed(2)
    assert torch.equal(first, masking((224, 224), 8, seed=3, rank=1, iteration=7))
    for other in (dict(seed=4, rank=1, iteration=7), dict(seed=3, rank=0, iteration=7),
                  dict(seed=3, rank=1, iteration=8)):  # fmt: skip
        assert not torch.equal(first, masking((224, 224), 8, **other))


def test_drawing_a_mask_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    RandomMasking(0.5)((64, 64), 2, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('size,ratio,count', [((224, 224), 0.75, 12), ((64, 160), 0.7, 3),
                                              ((96, 32), 0.5, 1)])  # fmt: skip
def test_equal_number_of_visible_units(per_image, size, ratio, count):
    visible = RandomMasking(ratio, per_image=per_image)(size, 5, seed=0)
    assert visible.shape == (5 if per_image else 1, size[0] // 32, size[1] // 32)
    assert visible.dtype == torch.bool
    assert visible.flatten(1).sum(1).tolist() == [count] * len(visible)


def test_every_unit_is_visible_equally_often():
    masking = RandomMasking(0.75, per_image=True)
    share = masking((128, 128), 4000, seed=0).float().mean(0)
    # 4000 draws of p = 1/4: standard deviation 0.0068
    assert (share - 0.25).abs().max() < 5 * 0.0068


@pytest.mark.parametrize('ratio', [0, 1, -0.1, 1.5])
def test_bad_ratio(ratio):
    with pytest.raises(ValueError, match=rf'mask_ratio .* got {ratio}'):
        RandomMasking(ratio)


@pytest.mark.parametrize('ratio,size,left', [(0.9, (64, 64), 0), (0.01, (32, 32), 0)])
def test_ratio_that_leaves_nothing(ratio, size, left):
    with pytest.raises(ValueError, match=f'mask_ratio={ratio} leaves {left} of'):
        RandomMasking(ratio)(size, 1, seed=0)


@pytest.mark.parametrize('size', [(100, 64), (64, 100), (0, 32), (16, 16)])
def test_image_must_be_a_multiple_of_the_unit(size):
    with pytest.raises(ValueError, match=rf'mask unit \(32 pixels\), got \({size[0]}, {size[1]}\)'):
        unit_grid(size, 32)

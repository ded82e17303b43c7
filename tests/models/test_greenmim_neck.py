"""Positions of the decoder: where they are, what they are, and in which precision."""

import math

import pytest
import torch

from greenmim_mm.models import GreenMIMNeck
from greenmim_mm.models.necks.greenmim_neck import position_embedding
from greenmim_mm.sparsity import RandomMasking


def naive_positions(height, width, channels):
    """Raster order, number by number: sines and cosines of the row, then those of the column."""
    quarter = channels // 4
    table = torch.empty(height * width, channels)
    for row in range(height):
        for col in range(width):
            for k in range(quarter):
                frequency = 10000 ** (-k / quarter)
                table[row * width + col, k] = math.sin(row * frequency)
                table[row * width + col, quarter + k] = math.cos(row * frequency)
                table[row * width + col, 2 * quarter + k] = math.sin(col * frequency)
                table[row * width + col, 3 * quarter + k] = math.cos(col * frequency)
    return table


@pytest.mark.parametrize('grid', [(4, 8), (8, 4), (3, 5), (1, 7), (7, 7), (2, 2)])
def test_positions_are_those_of_the_formula(grid):
    got = position_embedding(grid, 16)[0]
    torch.testing.assert_close(got, naive_positions(*grid, 16), atol=1e-6, rtol=0)


@pytest.mark.parametrize('side', [1, 2, 7, 14])
def test_square_grids_keep_the_values_of_old_checkpoints(side):
    """Checkpoints were trained with what MMPretrain returns for a square."""
    from mmpretrain.models.utils import build_2d_sincos_position_embedding

    old = build_2d_sincos_position_embedding([side, side], 32)
    assert torch.equal(position_embedding((side, side), 32), old)


def first_block_input(neck, features, visible):
    """Tokens as they enter the first block of the decoder."""
    seen = []
    handle = neck.decoder_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    neck(features, visible)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('grid', [(4, 8), (5, 2), (4, 4)])
def test_every_unit_gets_the_position_of_its_place(grid, per_image):
    """A decoder that embeds everything as zero shows the positions alone, unit by unit."""
    neck = GreenMIMNeck(in_channels=8, embed_dims=16, num_heads=2)
    torch.nn.init.zeros_(neck.decoder_embed.weight)
    torch.nn.init.zeros_(neck.decoder_embed.bias)
    visible = RandomMasking(0.5, 1, per_image)(grid, 2, seed=0)
    features = torch.randn(2, int(visible[0].sum()), 8)
    got = first_block_input(neck, features, visible)
    torch.testing.assert_close(got, naive_positions(*grid, 16).expand(2, -1, -1), atol=1e-6, rtol=0)


def test_autocast_adds_positions_in_float32():
    """What bfloat16 rounds is the embedding of the features, not the sum with the position."""
    neck = GreenMIMNeck(in_channels=8, embed_dims=16, num_heads=2)
    visible = torch.ones(1, 4, 8, dtype=torch.bool)
    features = torch.randn(2, 32, 8)
    with torch.autocast('cpu', torch.bfloat16):
        embedded = neck.decoder_embed(features)
        got = first_block_input(neck, features, visible)
    assert embedded.dtype == torch.bfloat16 and got.dtype == torch.float32
    torch.testing.assert_close(got, embedded.float() + naive_positions(4, 8, 16), atol=1e-6, rtol=0)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_decoder_of_another_precision_stays_in_it(dtype):
    neck = GreenMIMNeck(in_channels=8, embed_dims=16, num_heads=2).to(dtype)
    visible = RandomMasking(0.5, 1)((4, 8), 2, seed=0)
    assert neck(torch.randn(2, 16, 8, dtype=dtype), visible).dtype == dtype

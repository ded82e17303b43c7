"""Image grid -> which mask units are visible.

Shapes: N masks (1 when the whole batch shares one, else B, one per image),
Mh x Mw mask units.

``visible`` is bool, True = the encoder sees the unit. It lives on the CPU.
"""

import hashlib
from enum import Enum
from typing import Tuple

import torch
from torch import Tensor


class Purpose(Enum):
    """What random numbers are drawn for. Each has streams of its own, see :func:`derive_seed`.

    A new use of random numbers is a new member. The comments name what is mixed in.
    """

    MASK = 'mask'  # seed, rank, iteration
    STEP = 'step'  # seed, rank, iteration: all that a training step draws
    SAMPLE = 'sample'  # seed, parts of concatenations, epoch, sample: its augmentation
    ORDER = 'order'  # seed: in which order samples are visited
    RECONSTRUCTION = 'reconstruction'  # seed: masks of pictures that are looked at


def derive_seed(purpose: Purpose, *entropy: int) -> int:
    """Mix a purpose and integers into one 63-bit seed.

    Equal arguments give an equal seed. Any other purpose, number of integers or
    integer gives another one, for what is hashed can be read in one way only.

    Args:
        purpose (Purpose): What is drawn with it.
        *entropy (int): Seed of the run and progress, of any size.

    Raises:
        TypeError: If ``purpose`` is no :class:`Purpose`.
    """
    if not isinstance(purpose, Purpose):
        raise TypeError(f'purpose must be one of {[str(p) for p in Purpose]}, got {purpose!r}')
    text = ' '.join([purpose.value, *(str(int(number)) for number in entropy)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), 'big') >> 1


def unit_grid(img_size: Tuple[int, int], unit: int) -> Tuple[int, int]:
    """Number of mask units of an image, vertically and horizontally.

    Args:
        img_size (Tuple[int, int]): Image height and width in pixels.
        unit (int): Side of a mask unit in pixels.

    Raises:
        ValueError: If a side of the image is not a positive multiple of ``unit``.
    """
    height, width = img_size
    if height < unit or width < unit or height % unit or width % unit:
        raise ValueError(
            f'image size (height, width) must be positive multiples of the mask unit '
            f'({unit} pixels), got ({height}, {width})'
        )
    return height // unit, width // unit


class RandomMasking:
    """Draws which mask units are visible, uniformly and equally many per image.

    A mask is a pure function of ``(seed, rank, iteration)``: it does not depend
    on the device or on any other random number drawn before, so that an
    interrupted run that resumes sees the same masks.

    GreenMIM (arXiv 2205.13515, Sec. 4) shares one mask per batch on each GPU;
    SimMIM and MAE draw one per image.

    Args:
        mask_ratio (float): Share of hidden units, between 0 and 1. Defaults to 0.75.
        unit (int): Side of a mask unit in pixels. Defaults to 32.
        per_image (bool): One mask per image instead of one per batch.
            Defaults to False.

    Raises:
        ValueError: If ``mask_ratio`` is not strictly between 0 and 1.

    Example:
        >>> masking = RandomMasking(mask_ratio=0.75)
        >>> masking((224, 224), batch_size=8, seed=0).shape
        torch.Size([1, 7, 7])
    """

    def __init__(self, mask_ratio: float = 0.75, unit: int = 32, per_image: bool = False) -> None:
        if not 0 < mask_ratio < 1:
            raise ValueError(f'mask_ratio must be strictly between 0 and 1, got {mask_ratio}')
        self.mask_ratio = mask_ratio
        self.unit = unit
        self.per_image = per_image

    def num_visible(self, grid: Tuple[int, int]) -> int:
        """Number of visible units of a grid, ``floor(units * (1 - mask_ratio))``.

        Raises:
            ValueError: If no unit would be visible, or none hidden.
        """
        units = grid[0] * grid[1]
        # the round keeps 10 * (1 - 0.7) = 3.0000000000000004 and 2.9999999999999996 at 3
        visible = int(round(units * (1 - self.mask_ratio), 6))
        if not 0 < visible < units:
            raise ValueError(
                f'mask_ratio={self.mask_ratio} leaves {visible} of {units} mask units '
                f'({grid[0]} x {grid[1]} of {self.unit} pixels) visible; at least one must be '
                f'visible and one hidden: change mask_ratio or take a larger image'
            )
        return visible

    def __call__(
        self,
        img_size: Tuple[int, int],
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        iteration: int = 0,
        purpose: Purpose = Purpose.MASK,
    ) -> Tensor:
        """Draw the mask of one training step.

        Args:
            img_size (Tuple[int, int]): Image height and width in pixels.
            batch_size (int): Number of images B.
            seed (int): Seed of the run.
            rank (int): Rank of the process. Defaults to 0.
            iteration (int): Number of the training step. Defaults to 0.
            purpose (Purpose): Whose stream of random numbers. Defaults to that of training.

        Returns:
            Tensor: ``visible``, bool of shape N x Mh x Mw on the CPU.
        """
        grid = unit_grid(img_size, self.unit)
        count = self.num_visible(grid)
        num_masks = batch_size if self.per_image else 1
        generator = torch.Generator()
        generator.manual_seed(derive_seed(purpose, seed, rank, iteration))
        order = torch.rand(num_masks, grid[0] * grid[1], generator=generator).argsort(dim=1)
        visible = torch.zeros(num_masks, grid[0] * grid[1], dtype=torch.bool)
        visible.scatter_(1, order[:, :count], True)
        return visible.view(num_masks, *grid)

"""Checks that every green encoder must pass; see ``docs/add_a_backbone.md``."""

from typing import Dict, Iterator, Sequence, Tuple

import torch
from torch import Tensor, nn

from .layers import gather_from_grid
from .models.backbones.base import GreenEncoder
from .models.utils import StrictInit
from .sparsity import RandomMasking

Outputs = Sequence[Tensor]


def check_green_backbone(
    cls: type,
    cfg: dict,
    img_size: Tuple[int, int] = (128, 128),
    crop: bool = True,
    mask_ratio: float = 0.6,
) -> None:
    """Run all checks of this module on a class and a configuration.

    Args:
        cls (type): A subclass of :class:`GreenEncoder` and of its dense parent.
        cfg (dict): Arguments of both. Take a tiny architecture, no drop path, and
            all ``out_indices``.
        img_size (Tuple[int, int]): Height and width in pixels; in windowed encoders
            such that every map is a multiple of its window. Defaults to 128 x 128.
        crop (bool): Whether a visible rectangle must equal the dense forward of that
            part of the image. It must, unless positions are absolute or windows do
            not fit the rectangle. Defaults to True.
        mask_ratio (float): Share of hidden units. Defaults to 0.6.

    Raises:
        AssertionError: Naming the check.
    """
    torch.manual_seed(0)
    parent_cls = cls.__mro__[cls.__mro__.index(StrictInit) + 1]
    parent, model = _prepare(parent_cls(**cfg)), _prepare(cls(**cfg))
    images = torch.randn(2, 3, *img_size, dtype=torch.double)
    check_keys(model, parent)
    parent.load_state_dict(model.state_dict(), strict=False)  # keys are equal: just checked
    check_dense_forward(model, parent, images)
    check_all_visible(model, images)
    for per_image in (False, True):
        masking = RandomMasking(mask_ratio, model.mask_unit, per_image)
        visible = masking(img_size, len(images), seed=0)
        check_no_leak(model, images, visible)
    check_one_mask_for_all(model, images, mask_ratio)
    if crop:
        check_visible_rectangle(model, images)


def _prepare(model: nn.Module) -> nn.Module:
    """Double precision, and no parameter at a value that would hide a mistake."""
    for parameter in model.parameters():
        if parameter.ndim == 1 or not parameter.any():
            nn.init.normal_(parameter, std=0.5)
    model.double()
    model.eval()  # MMPretrain's return nothing
    return model


def check_keys(model: nn.Module, parent: nn.Module) -> None:
    """Same keys, same shapes as the parent: checkpoints go both ways."""
    own, other = ({k: v.shape for k, v in m.state_dict().items()} for m in (model, parent))
    assert own == other, f'keys differ from the parent: {sorted(set(own) ^ set(other)) or own}'


def check_dense_forward(model: nn.Module, parent: nn.Module, images: Tensor) -> None:
    """Without ``visible`` the forward is the parent's, bit by bit."""
    for own, other in zip(model(images), parent(images)):
        assert torch.equal(own, other), "forward(images) is not the parent's"


def check_all_visible(model: GreenEncoder, images: Tensor) -> None:
    """With every unit visible, values and gradients are those of the dense forward."""
    rows, cols = (side // model.mask_unit for side in images.shape[-2:])
    visible = torch.ones(1, rows, cols, dtype=torch.bool)
    dense = list(_as_tokens(model, model(images), visible))
    sparse = model(images, visible)
    _assert_equal(sparse, dense, 'all visible != dense')
    expected, got = _gradients(model, dense), _gradients(model, sparse)
    for name in expected:
        _assert_equal([got[name]], [expected[name]], f'all visible != dense: gradient of {name}')


def check_no_leak(model: GreenEncoder, images: Tensor, visible: Tensor) -> None:
    """Whatever hidden pixels hold, NaN included, visible outputs stay bit-equal."""
    seen = visible[:, None]
    for axis in (2, 3):
        seen = seen.repeat_interleave(model.mask_unit, axis)
    poisoned = torch.where(seen, images, float('nan'))
    for clean, other in zip(model(images, visible), model(poisoned, visible)):
        assert torch.equal(clean, other), 'hidden pixels leak into visible outputs'


def check_one_mask_for_all(model: GreenEncoder, images: Tensor, mask_ratio: float) -> None:
    """A shared mask equals the same mask given per image."""
    visible = RandomMasking(mask_ratio, model.mask_unit)(images.shape[-2:], len(images), seed=1)
    per_image = visible.expand(len(images), -1, -1)
    _assert_equal(model(images, visible), model(images, per_image), 'shared mask != per image')


def check_visible_rectangle(model: GreenEncoder, images: Tensor) -> None:
    """A visible rectangle equals the dense forward of that part of the image.

    An independent road to a masked result: what lies outside is hidden here and
    not there at all on the other side.
    """
    rows, cols = (side // model.mask_unit for side in images.shape[-2:])
    top, left = rows // 2, cols // 2
    visible = torch.zeros(1, rows, cols, dtype=torch.bool)
    visible[:, top:, left:] = True
    part = images[:, :, top * model.mask_unit :, left * model.mask_unit :]
    everything = torch.ones(1, rows - top, cols - left, dtype=torch.bool)
    dense = list(_as_tokens(model, model(part), everything))
    _assert_equal(model(images, visible), dense, 'visible rectangle != dense forward of the crop')


def _as_tokens(model: GreenEncoder, maps: Outputs, visible: Tensor) -> Iterator[Tensor]:
    layouts = {layout.grid: layout for layout in model.layouts(visible)}
    for feature_map in maps:
        yield gather_from_grid(feature_map, layouts[tuple(feature_map.shape[-2:])])


def _gradients(model: nn.Module, outs: Outputs) -> Dict[str, Tensor]:
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    loss = sum((out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum() for out in outs)
    grads = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {name: grad for name, grad in zip(named, grads) if grad is not None}


def _assert_equal(got: Outputs, expected: Outputs, message: str) -> None:
    assert len(got) == len(expected), f'{message}: {len(got)} and {len(expected)} outputs'
    for a, b in zip(got, expected):
        torch.testing.assert_close(a, b, msg=lambda text: f'{message}\n{text}')

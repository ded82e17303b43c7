import pytest
import torch
from torch import nn

from greenmim_mm.layers import (
    block_conv,
    gather_from_grid,
    neighbour_index,
    sparse_avg_pool2d,
    sparse_conv2d,
)
from greenmim_mm.sparsity import RandomMasking, scatter_to_grid, token_layout

CONVS = {  # the convolution, tokens per unit of its input
    'pointwise': (dict(kernel_size=1), 4),
    'reduction 8': (dict(kernel_size=8, stride=8), 8),
    'reduction 2': (dict(kernel_size=2, stride=2), 4),
    'merge': (dict(kernel_size=2, stride=2, bias=False), 2),
    'overlapping 7/4': (dict(kernel_size=7, stride=4, padding=3), 8),
    'overlapping 3/2': (dict(kernel_size=3, stride=2, padding=1), 2),
    'full 3': (dict(kernel_size=3, padding=1), 4),
    'depth-wise 3': (dict(kernel_size=3, padding=1, groups=6), 2),
    'depth-wise 7': (dict(kernel_size=7, padding=3, groups=6), 1),
    'depth-wise 3/2': (dict(kernel_size=3, stride=2, padding=1, groups=6, bias=False), 4),
    'not square': (dict(kernel_size=(3, 5), padding=(1, 2)), 4),
}


def case(name, per_image, dtype=torch.double):
    """Convolution, tokens and layouts of input and output; a grid that is not square."""
    options, side = CONVS[name]
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6 if 'groups' in options else 10, **options).to(dtype)
    visible = RandomMasking(0.6, 1, per_image)((3, 5), 2, seed=1)
    source = token_layout(visible, side)
    target = token_layout(visible, side // conv.stride[0])
    x = torch.randn(2, source.row.shape[1], 6, dtype=dtype)
    return conv, x, source, target


def results(function, conv, x):
    x = x.clone().requires_grad_()
    out = function(x)
    parameters = list(conv.parameters())
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.double).view_as(out)
    return [out, *torch.autograd.grad((out.double() * weight).sum(), [x, *parameters])]


@pytest.mark.parametrize('per_image', [False, True])
@pytest.mark.parametrize('implementation', ['auto', 'gather', 'tiles', 'dense'])
@pytest.mark.parametrize('name', CONVS)
def test_equals_dense_convolution_on_zero_filled_input(name, implementation, per_image):
    conv, x, source, target = case(name, per_image)

    def dense(x):
        full = conv(scatter_to_grid(x, source).permute(0, 3, 1, 2))
        index = target.flat_index.expand(2, -1)
        return torch.stack([full[b].flatten(1).t()[index[b]] for b in range(2)])

    sparse = results(lambda x: sparse_conv2d(x, conv, source, target, implementation), conv, x)
    for got, expected in zip(sparse, results(dense, conv, x)):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize('implementation', ['gather', 'tiles', 'dense'])
@pytest.mark.parametrize('name', ['reduction 2', 'overlapping 3/2', 'full 3', 'depth-wise 3'])
def test_bfloat16_within_its_precision(name, implementation):
    conv, x, source, target = case(name, False, torch.float32)
    exact = results(lambda x: sparse_conv2d(x, conv, source, target, implementation), conv, x)
    conv.bfloat16()
    rough = results(
        lambda x: sparse_conv2d(x, conv, source, target, implementation), conv, x.bfloat16()
    )
    for a, b in zip(exact, rough):
        assert b.dtype == torch.bfloat16
        assert (a - b).norm() < 0.02 * a.norm()


@pytest.mark.parametrize('implementation', ['gather', 'tiles', 'dense'])
@pytest.mark.parametrize('name', ['full 3', 'depth-wise 3', 'overlapping 3/2'])
def test_autocast_gives_the_low_precision(name, implementation):
    conv, x, source, target = case(name, False, torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        out = sparse_conv2d(x, conv, source, target, implementation)
    assert out.dtype == torch.bfloat16
    exact = sparse_conv2d(x, conv, source, target, implementation)
    assert (out - exact).norm() < 0.02 * exact.norm()


def test_neighbours_are_those_of_the_grid():
    """Write the place into the token and read it under each tap."""
    visible = RandomMasking(0.5, 1)((3, 4), 1, seed=0)
    layout = token_layout(visible, 2)
    index = neighbour_index(layout, layout, (3, 3), padding=(1, 1))
    place = {(r, c): i for i, (r, c) in enumerate(zip(layout.row[0], layout.col[0]))}
    for token, taps in enumerate(index.tolist()):
        r, c = layout.row[0, token], layout.col[0, token]
        around = [(r + dr, c + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
        assert taps == [place.get(p, len(place)) for p in around]


@pytest.mark.parametrize('kernel', [2, 4])
def test_average_pooling(kernel):
    visible = RandomMasking(0.5, 1, True)((3, 5), 2, seed=0)
    source, target = token_layout(visible, 4), token_layout(visible, 4 // kernel)
    x = torch.randn(2, source.row.shape[1], 3)
    full = nn.functional.avg_pool2d(scatter_to_grid(x, source).permute(0, 3, 1, 2), kernel)
    expected = gather_from_grid(full, target)
    torch.testing.assert_close(sparse_avg_pool2d(x, kernel), expected)


def test_block_convolution_reads_taps_in_token_order():
    weight = torch.arange(4.0).view(1, 1, 2, 2)
    tokens = torch.tensor([[[1.0], [10], [100], [1000]]])  # z-order: top left, top right, ...
    assert block_conv(tokens, weight, None).item() == 0 * 1 + 1 * 10 + 2 * 100 + 3 * 1000


@pytest.mark.parametrize('options,implementation,message', [
    (dict(kernel_size=3, padding=1, groups=2), 'auto', 'full or depth-wise'),
    (dict(kernel_size=3, padding=2, dilation=2), 'auto', 'without dilation'),
    (dict(kernel_size=3, padding='same'), 'auto', 'a number of zeros'),
    (dict(kernel_size=3, padding=1, padding_mode='reflect'), 'auto', 'a number of zeros'),
    (dict(kernel_size=3, padding=1), 'fast', r"must be one of .*, got 'fast'"),
])  # fmt: skip
def test_bad_convolution(options, implementation, message):
    layout = token_layout(torch.ones(1, 2, 2, dtype=torch.bool), 2)
    with pytest.raises(ValueError, match=message):
        conv = nn.Conv2d(4, 4, **options)
        sparse_conv2d(torch.zeros(1, 16, 4), conv, layout, implementation=implementation)

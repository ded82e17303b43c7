"""The implementations of sparse convolution against each other.

    python tools/analysis_tools/benchmark_sparse_conv.py

For the convolutions of Twins, PVT and ConvNeXt at their sizes: milliseconds of a forward and
backward on visible tokens by ``gather`` (visible neighbours, matrix product), ``tiles``
(visible mask units with their surroundings, ``F.conv2d``) and ``dense`` (scatter to the
zero-filled map, ``F.conv2d``, gather), and of the dense convolution on the whole map. They take
turns; medians. ``auto`` is what the model uses.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

import torch
from torch import nn

from greenmim_mm.engine.errors import run_or_explain
from greenmim_mm.layers import sparse_conv2d
from greenmim_mm.sparsity import RandomMasking, token_layout

BATCH = 8
# name: channels in and out, tokens per mask unit and axis, arguments of nn.Conv2d
CASES = {
    'Twins-SVT-L stage 1, position 3x3 depth-wise': (128, 128, 8, dict(padding=1, groups=128)),
    'Twins-SVT-L stage 3, position 3x3 depth-wise': (512, 512, 2, dict(padding=1, groups=512)),
    'PVTv2-B2 stage 1, MLP 3x3 depth-wise': (512, 512, 8, dict(padding=1, groups=512)),
    'PVTv2-B2 stage 3, MLP 3x3 depth-wise': (1280, 1280, 2, dict(padding=1, groups=1280)),
    'ConvNeXt-T stage 1, 7x7 depth-wise': (96, 96, 8, dict(padding=3, groups=96)),
    'ConvNeXt-T stage 3, 7x7 depth-wise': (384, 384, 2, dict(padding=3, groups=384)),
    'PVTv2-B2 stage 2, embedding 3x3/2': (64, 128, 8, dict(stride=2, padding=1)),
    'PVTv2-B2 stage 4, embedding 3x3/2': (320, 512, 2, dict(stride=2, padding=1)),
}


def measure(conv: nn.Conv2d, visible: torch.Tensor, side: int, rounds: int) -> Dict[str, List]:
    """Seconds of each contestant in each round."""
    source, target = token_layout(visible, side), token_layout(visible, side // conv.stride[0])
    device = conv.weight.device
    tokens = torch.randn(BATCH, source.row.shape[1], conv.in_channels, device=device)
    whole = torch.randn(BATCH, conv.in_channels, *source.grid, device=device)
    tokens.requires_grad_(), whole.requires_grad_()
    contestants = {
        'gather': lambda: sparse_conv2d(tokens, conv, source, target, 'gather'),
        'tiles': lambda: sparse_conv2d(tokens, conv, source, target, 'tiles'),
        'dense': lambda: sparse_conv2d(tokens, conv, source, target, 'dense'),
        'auto': lambda: sparse_conv2d(tokens, conv, source, target),
        'whole': lambda: conv(whole),
    }
    seconds = {key: [] for key in contestants}
    for _ in range(rounds + 2):  # two to warm up
        for key, function in contestants.items():
            start = time.perf_counter()
            out = function()
            out.backward(out.detach())
            if device.type == 'cuda':
                torch.cuda.synchronize()
            seconds[key].append(time.perf_counter() - start)
    return {key: values[2:] for key, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--img-size', type=int, default=224)
    parser.add_argument('--per-image', action='store_true', help='one mask per image')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--rounds', type=int, default=10)
    args = parser.parse_args()

    visible = RandomMasking(0.75, 32, args.per_image)((args.img_size,) * 2, BATCH, seed=0)
    print('| convolution | gather, ms | tiles, ms | dense, ms | auto, ms | whole map, ms |')
    print('|' + ' --- |' * 6)
    for name, (in_channels, out_channels, side, options) in CASES.items():
        kernel = 2 * options['padding'] + 1
        conv = nn.Conv2d(in_channels, out_channels, kernel, **options).to(args.device)
        seconds = measure(conv, visible, side, args.rounds)
        times = [f'{statistics.median(values) * 1e3:.2f}' for values in seconds.values()]
        print(f'| {name} | {" | ".join(times)} |')


if __name__ == '__main__':
    run_or_explain(main)

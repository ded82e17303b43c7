"""A picture of how the windows of a masked image are packed into groups.

    python tools/visualization/visualize_grouping.py --out groups.png --img-size 224 --window 7

One stage of an encoder with 32-pixel mask units: ``--stride 4`` is stage 1 of Swin.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from greenmim_mm.engine.launch import run_or_explain
from greenmim_mm.sparsity import RandomMasking
from greenmim_mm.visualization import plot_groups

UNIT = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', required=True, help='PNG to write')
    parser.add_argument('--img-size', type=int, nargs='+', default=[224], help='S, or H W')
    parser.add_argument(
        '--stride', type=int, choices=[4, 8, 16, 32], default=4, help='of the stage'
    )
    parser.add_argument('--window', type=int, default=7, help='in tokens')
    parser.add_argument('--shift', type=int, default=0, help='of the windows, in tokens')
    parser.add_argument('--mask-ratio', type=float, default=0.75)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    size = (args.img_size * 2)[:2]
    visible = RandomMasking(args.mask_ratio, UNIT)(tuple(size), 1, seed=args.seed)
    text = plot_groups(visible, UNIT // args.stride, args.window, args.shift, args.out)
    print(f'{text}\nwritten: {args.out}')


if __name__ == '__main__':
    run_or_explain(main, ValueError)

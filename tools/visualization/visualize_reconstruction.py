"""Pictures of what a pre-trained model makes of the hidden part of images.

    python tools/visualization/visualize_reconstruction.py configs/greenmim/swin_b_pretrain.py \\
        work_dirs/swin_b_pretrain/epoch_800.pth /images --out-dir reconstructions

A PNG per image: the image, its visible part, the prediction, and both pasted together.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from greenmim_mm.apis import GreenMIMInferencer
from greenmim_mm.engine.launch import import_quietly, run_or_explain


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='pre-training config')
    parser.add_argument('checkpoint', help='checkpoint of it')
    parser.add_argument('images', nargs='+', help='files, or one folder of any depth')
    parser.add_argument('--out-dir', help='folder for the pictures')
    parser.add_argument('--show', action='store_true', help='show each picture in a window')
    parser.add_argument(
        '--img-size', type=int, nargs='+', help='pixels: S, or H W; default: that of the config'
    )
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--seed', type=int, default=0, help='of the masks')
    parser.add_argument('--mask-ratio', type=float, help='default: that of the config')
    parser.add_argument('--device', help='default: a GPU if there is one')
    args = parser.parse_args()
    if not args.show and args.out_dir is None:
        parser.error('--out-dir or --show is needed, or nothing would be seen')
    missing = [path for path in args.images if not Path(path).exists()]
    if missing:
        parser.error(f'no such file or folder: {missing[0]}')
    import_quietly()
    size = args.img_size[0] if args.img_size and len(args.img_size) == 1 else args.img_size
    inferencer = GreenMIMInferencer(args.config, args.checkpoint, args.device, size)
    results = inferencer(
        args.images[0] if len(args.images) == 1 else args.images, args.batch_size, args.seed,
        args.mask_ratio, args.show, args.out_dir,
    )  # fmt: skip
    if args.out_dir is not None:
        print(f'written: {len(results["predictions"])} pictures in {args.out_dir}')
    if results['left_out']:
        print(f'left out: {len(results["left_out"])} that cannot be read, named above')


if __name__ == '__main__':
    run_or_explain(main, ValueError)

"""A Swin or Twins of the released GreenMIM (or of SimMIM, Swin, Twins) as our backbone.

    python tools/model_converters/greenmim_to_mmpretrain.py swin_base_w7.pth ours.pth \\
        --merge-order row
    python tools/train.py configs/greenmim/mask_rcnn_swin_b_coco.py --pretrained ours.pth \\
        --auto-scale-lr

Prints what was copied, permuted and skipped; a tensor without a place is an error. The merge order
of a Swin is not in the file: ``column`` for Swin's own repository, SimMIM and GreenMIM since
January 2023, ``row`` for GreenMIM before, as its published Swin-B weights probably are.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from mmengine.logging import MMLogger

from greenmim_mm.converters import convert_swin, convert_twins
from greenmim_mm.engine.launch import run_or_explain


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='released checkpoint')
    parser.add_argument('target', help='file to write, with keys backbone.*')
    parser.add_argument('--model', choices=['swin', 'twins'], default='swin')
    parser.add_argument('--merge-order', choices=['row', 'column'], help='of a Swin; see above')
    parser.add_argument('--img-size', type=int, default=224, help='pixels it was trained at')
    args = parser.parse_args()
    if args.model == 'swin' and args.merge_order is None:
        parser.error('--merge-order {row,column} is needed for a Swin: the file does not say')
    MMLogger.get_instance('convert', log_level='WARNING')  # not a line per initialised tensor
    if args.model == 'swin':
        conversion = convert_swin(args.source, args.merge_order, args.img_size)
    else:
        conversion = convert_twins(args.source)
    conversion.save(args.target, prefix='backbone.')
    print(f'{conversion.report()}\n\nwritten: {args.target}')


if __name__ == '__main__':
    run_or_explain(main, ValueError)

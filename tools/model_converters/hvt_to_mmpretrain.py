"""A released HVT checkpoint as a classifier of MMPretrain.

    python tools/model_converters/hvt_to_mmpretrain.py hvt_s_1.pth hvt_s_1_mmpretrain.pth
    python tools/test.py configs/hvt/hvt_s_1_in1k.py hvt_s_1_mmpretrain.pth

Prints what was copied and skipped; a tensor without a place is an error.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from mmengine.logging import MMLogger

from greenmim_mm.converters import convert_hvt
from greenmim_mm.engine.launch import run_or_explain


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='released checkpoint')
    parser.add_argument('target', help='file to write')
    parser.add_argument(
        '--pool',
        choices=['1d', '2d'],
        default='1d',
        help='2d: for configs with pool=2d; position embeddings after the pools start anew',
    )
    args = parser.parse_args()
    MMLogger.get_instance('convert', log_level='WARNING')  # not a line per initialised tensor
    conversion, arch = convert_hvt(args.source, args.pool)
    conversion.save(args.target)
    print(f'{conversion.report()}\n\nHVT {arch}, written: {args.target}')


if __name__ == '__main__':
    run_or_explain(main, ValueError)

"""Evaluate a checkpoint with any config of this package, MMPretrain or MMDetection.

python tools/test.py configs/greenmim/mask_rcnn_swin_b_coco.py work_dirs/RUN/epoch_36.pth
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without an install

from mmengine.config import ConfigDict
from mmengine.evaluator import DumpResults

from greenmim_mm.engine import launch
from greenmim_mm.engine.checks import CheckError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    launch.add_common_arguments(parser)
    parser.add_argument('--out', help='file (.pkl) for the raw predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument(
        '--show-dir', help='folder for pictures of the predictions, a file per image'
    )
    parser.add_argument('--wait-time', type=float, default=2, help='seconds per shown picture')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        raise CheckError(f'--out must end in .pkl or .pickle, got {args.out}')
    cfg = launch.load_config(args)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.show:
        hook = cfg.default_hooks.get('visualization')
        if hook is None:
            raise CheckError('--show needs default_hooks.visualization in the config')
        # each package has its own names
        mmpretrain = cfg.get('default_scope') == 'mmpretrain'
        own = dict(enable=True, interval=1) if mmpretrain else dict(draw=True)
        hook.update(ConfigDict(show=True, wait_time=args.wait_time, **own))
    if args.show_dir:
        drawn = (cfg.get('default_hooks') or {}).get('visualization') or {}
        pictures = dict(
            type='greenmim_mm.PredictionPicturesHook',
            out_dir=args.show_dir,
            score_thr=drawn.get('score_thr'),
        )
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), pictures]

    launch.set_dataloader_defaults(cfg)
    runner = launch.build_runner(cfg, ('test_dataloader',))
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    runner.test()


if __name__ == '__main__':
    launch.run_or_explain(main)

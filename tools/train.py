"""Train any config of this package, MMPretrain or MMDetection.

    python tools/train.py configs/greenmim/swin_b_pretrain.py --auto-scale-lr
    python tools/train.py configs/greenmim/mask_rcnn_swin_b_coco.py --auto-scale-lr \\
        --pretrained work_dirs/swin_b_pretrain/epoch_800.pth
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without an install

from greenmim_mm.engine import launch
from greenmim_mm.engine.checks import CheckError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    launch.add_common_arguments(parser)
    parser.add_argument(
        '--pretrained',
        help='checkpoint that the backbone starts from (keys backbone.*, or the prefix that the '
        'config sets); every tensor must fit',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from a checkpoint, or without a value from the newest in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train with mixed precision')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate on the way')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size (auto_scale_lr.base_batch_size)',
    )
    parser.add_argument('--no-pin-memory', action='store_true', help='pin no memory for loading')
    parser.add_argument(
        '--no-persistent-workers', action='store_true', help='start workers anew every epoch'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = launch.load_config(args)

    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.pretrained is not None:
        launch.start_backbone_from(cfg, args.pretrained)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise CheckError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
        cfg.auto_scale_lr.enable = True

    launch.set_dataloader_defaults(cfg, not args.no_pin_memory, not args.no_persistent_workers)
    if args.resume == 'auto':
        launch.resolve_resume(cfg)
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume
    launch.build_runner(cfg, ('train_dataloader', 'val_dataloader')).train()


if __name__ == '__main__':
    launch.run_or_explain(main)

"""A plain ViT (MAE, DeiT, SimMIM, timm, MMPretrain) as the backbone of an HPViT config.

    python tools/model_converters/vit_to_hpvit.py mae_pretrain_vit_base.pth hpvit_b_mae.pth
    python tools/train.py configs/hpvit/mask_rcnn_hpvit_b_coco.py --pretrained hpvit_b_mae.pth \\
        --auto-scale-lr

Prints what was copied, resized, initialised and skipped; a tensor without a place is an
error. Checkpoints of MMPretrain need no conversion: name them with --pretrained.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from mmengine.logging import MMLogger

from greenmim_mm.converters import convert_vit
from greenmim_mm.engine.checks import check_options, enforce
from greenmim_mm.engine.config_options import add_config_options, merge_options, read_config
from greenmim_mm.engine.launch import run_or_explain
from greenmim_mm.registry import MODELS

CONFIG = Path(__file__).parents[2] / 'configs/hpvit/mask_rcnn_hpvit_b_coco.py'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='checkpoint of a plain ViT')
    parser.add_argument('target', help='file to write, with keys backbone.*')
    parser.add_argument(
        '--config',
        default=str(CONFIG),
        help=f'its model.backbone is the target (default: {CONFIG.name})',
    )
    add_config_options(parser)
    args = parser.parse_args()
    MMLogger.get_instance('convert', log_level='WARNING')  # not a line per initialised tensor
    cfg = read_config(args.config)
    enforce(check_options(cfg, args.cfg_options or {}))
    merge_options(cfg, args.cfg_options)
    cfg.model.backbone.init_cfg = None
    vit = MODELS.build(cfg.model.backbone)
    vit.init_weights()
    conversion = convert_vit(args.source, vit)
    conversion.save(args.target, prefix='backbone.')
    print(f'{conversion.report()}\n\nwritten: {args.target}')


if __name__ == '__main__':
    run_or_explain(main, ValueError)

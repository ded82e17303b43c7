"""Speed of backbones at inference, side by side, beside what their FLOPs promise.

    python tools/analysis_tools/benchmark_inference.py
    python tools/analysis_tools/benchmark_inference.py --img-size 512 --batch-size 1 \\
        mask_rcnn_vit_b_coco mask_rcnn_hpvit_b_coco

A contestant is the name of a config, whose ``model.backbone`` is built with random weights, and
changes to it: ``hpvit_b_finetune+arch=deit-small+pool=avg``. The contestants take turns,
one forward each per round; the ratio is the median over rounds of the ratio within a round.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Dict, List

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

import torch
from benchmark_pretrain import ROOT, as_table, describe_machine
from mmengine.config import Config, DictAction
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.errors import run_or_explain
from greenmim_mm.engine.launch import import_quietly, keep_freed_memory
from greenmim_mm.registry import MODELS

DEFAULT = [
    *(f'hvt_s_{i}_in1k' for i in range(5)),
    'hpvit_b_finetune+arch=deit-small',
    'mask_rcnn_vit_b_coco',
    'hpvit_b_finetune',
]


def build(spec: str, args: argparse.Namespace) -> nn.Module:
    """The backbone of NAME[+KEY=VALUE...]."""
    name, *options = spec.split('+')
    files = list((ROOT / 'configs').glob(f'[!_]*/{name}.py'))
    if not files:
        raise CheckError(f'{spec}: no config {name}.py below configs/')
    cfg = Config.fromfile(files[0]).model.backbone
    cfg.update(init_cfg=None, img_size=args.img_size)
    for option in options:
        key, separator, value = option.partition('=')
        if not separator:
            raise CheckError(f'{spec}: an option must be KEY=VALUE, got {option}')
        cfg[key] = DictAction._parse_iterable(value)
    return MODELS.build(cfg).to(args.device).eval()


def gigamacs(model: nn.Module, images: torch.Tensor) -> float:
    """Multiply-adds of the matrix products per image, in units of 1e9."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(images[:1])  # the counter does not see into fused attention
    return counter.get_total_flops() / 2e9


def measure(args: argparse.Namespace) -> List[Dict]:
    models = {spec: build(spec, args) for spec in args.contestants}
    images = torch.randn(args.batch_size, 3, args.img_size, args.img_size, device=args.device)
    seconds: Dict[str, List[float]] = {spec: [] for spec in models}
    for iteration in range(args.warmup + args.rounds):
        for spec, model in models.items():
            start = time.perf_counter()
            model(images)
            if args.device.startswith('cuda'):
                torch.cuda.synchronize()
            if iteration >= args.warmup:
                seconds[spec].append(time.perf_counter() - start)
    reference = args.contestants[0]
    rows = []
    for spec, model in models.items():
        ratios = [base / own for own, base in zip(seconds[spec], seconds[reference])]
        gmacs = gigamacs(model, images)
        rows.append(
            dict(
                contestant=spec,
                images_per_second=args.batch_size / statistics.median(seconds[spec]),
                ratio=statistics.median(ratios),
                ratio_quartiles=statistics.quantiles(ratios, n=4)[::2],
                gmacs=gmacs,
                gmacs_ratio=(rows[0]['gmacs'] if rows else gmacs) / gmacs,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'contestants', nargs='*', default=DEFAULT, help='the first is the one to divide by'
    )
    parser.add_argument('--img-size', type=int, default=224)
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--warmup', type=int, default=2, help='rounds that do not count')
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error(f'--rounds must be at least 2, got {args.rounds}')
    keep_freed_memory()
    import_quietly()
    with torch.inference_mode():
        rows = measure(args)
    print(f'{describe_machine(args)}\n\n{as_table(rows, args.contestants[0])}')


if __name__ == '__main__':
    run_or_explain(main)

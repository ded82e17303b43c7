"""A checkpoint of a run as a file to hand on: weights only, its hash in the name.

    python tools/model_converters/publish_model.py work_dirs/RUN/epoch_800.pth swin_b_greenmim.pth
    python tools/model_converters/publish_model.py RUN/epoch_800.pth swin_b.safetensors --backbone
    python tools/model_converters/publish_model.py RUN/epoch_100.pth swin_b_timm.pth --to timm

Optimizer, schedulers, log history and hooks are left behind. ``.pth`` keeps ``state_dict`` and
``meta`` (version, classes); ``.safetensors`` needs ``pip install safetensors``. ``--to timm`` has
the backbone of a Swin (and the linear classifier, where there is one) under timm's keys.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Dict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

import torch
from torch import Tensor

from greenmim_mm.compat.safe_load import load_checkpoint_file
from greenmim_mm.converters import mmpretrain_swin_to_timm
from greenmim_mm.engine.launch import run_or_explain

PREFIX = 'backbone.'
KEPT_META = ('dataset_meta', 'epoch', 'iter', 'mmengine_version', 'experiment_name', 'time')


def select(state_dict: Dict[str, Tensor], args: argparse.Namespace) -> Dict[str, Tensor]:
    """Tensors to publish, under the keys to publish them."""
    if not args.backbone and args.to == 'mm':
        return state_dict
    backbone = {k[len(PREFIX) :]: v for k, v in state_dict.items() if k.startswith(PREFIX)}
    if not backbone:
        heads = ', '.join(sorted({key.split('.')[0] for key in state_dict}))
        raise ValueError(f'{args.source} has no backbone.*; its keys start with {heads}')
    if args.to == 'mm':
        return {PREFIX + key: value for key, value in backbone.items()}
    head = {f'head.{k}': state_dict[f'head.{k}'] for k in ('fc.weight', 'fc.bias')
            if f'head.{k}' in state_dict and not args.backbone}  # fmt: skip
    return {**mmpretrain_swin_to_timm(backbone), **head}


def write(file: Path, state_dict: Dict[str, Tensor], meta: dict) -> None:
    state_dict = {key: value.contiguous().clone() for key, value in state_dict.items()}
    if file.suffix != '.safetensors':
        torch.save(dict(state_dict=state_dict, meta=meta), file)
        return
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise ValueError('.safetensors needs pip install safetensors') from error
    texts = {key: json.dumps(value, default=str) for key, value in meta.items()}
    save_file(state_dict, file, texts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='checkpoint of a run')
    parser.add_argument('target', type=Path, help='NAME.pth or NAME.safetensors')
    parser.add_argument('--backbone', action='store_true', help='leave out everything else')
    parser.add_argument('--to', choices=['mm', 'timm'], default='mm', help='layout of the keys')
    args = parser.parse_args()
    if args.target.suffix not in ('.pth', '.safetensors'):
        parser.error(f'the file must end in .pth or .safetensors, got {args.target.name}')
    checkpoint = load_checkpoint_file(str(args.source))
    if 'state_dict' not in checkpoint:
        raise ValueError(f'{args.source} has no state_dict; its keys are {list(checkpoint)[:6]}')
    state_dict = select(checkpoint['state_dict'], args)
    source_meta = checkpoint.get('meta') or {}
    meta = {key: source_meta[key] for key in KEPT_META if key in source_meta}

    args.target.parent.mkdir(parents=True, exist_ok=True)
    write(args.target, state_dict, meta)
    digest = hashlib.sha256(args.target.read_bytes()).hexdigest()[:8]
    final = args.target.with_name(f'{args.target.stem}-{digest}{args.target.suffix}')
    args.target.rename(final)
    before, after = (path.stat().st_size / 2**20 for path in (args.source, final))
    print(f'{len(state_dict)} tensors, {after:.1f} MiB of {before:.1f}\nwritten: {final}')


if __name__ == '__main__':
    run_or_explain(main, ValueError)

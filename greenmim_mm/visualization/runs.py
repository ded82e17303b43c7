"""Reading what a run left behind: its scalars and its model."""

import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ..compat.safe_load import load_checkpoint_file
from ..registry import MODELS


def read_scalars(work_dir: str) -> List[Dict]:
    """All scalars of a run, in order; of a resumed run those of every part.

    Args:
        work_dir (str): Work dir of ``tools/train.py``.

    Returns:
        List[Dict]: One per log line, with ``step`` and what was logged.

    Raises:
        FileNotFoundError: If the run has logged nothing.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'no vis_data/scalars.json below {work_dir}')
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def load_pretrain_model(config: str, checkpoint: str) -> nn.Module:
    """Build the algorithm of a pre-training config and load a checkpoint of it, strictly."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    model.load_state_dict(load_checkpoint_file(checkpoint)['state_dict'])
    model.eval()
    return model


class Reconstructions(NamedTuple):
    """Images of one size in 0..255 RGB, of shape B x H x W x 3, and their masks."""

    originals: np.ndarray
    predictions: np.ndarray
    visible: Tensor  # bool, N x Mh x Mw


@torch.no_grad()
def reconstruct_images(
    model: nn.Module, paths: Sequence[str], size: int, seed: int = 0
) -> Reconstructions:
    """Mask images and let a pre-trained model fill them in.

    Args:
        model (nn.Module): A :class:`~greenmim_mm.models.GreenMIM`.
        paths (Sequence[str]): Image files.
        size (int): Side in pixels they are resized to.
        seed (int): Seed of the masks. Defaults to 0.
    """
    load = Compose(
        [
            dict(type='greenmim_mm.LoadImage'),
            dict(type='Resize', scale=(size, size)),
            dict(type='mmpretrain.PackInputs'),
        ]
    )
    batch = torch.stack([load(dict(img_path=str(path)))['inputs'] for path in paths])
    preprocessor = model.data_preprocessor
    inputs = preprocessor(dict(inputs=batch, data_samples=None))['inputs']
    visible = model.masking((size, size), len(inputs), seed=seed)
    predicted = model.reconstruct(inputs, visible)

    def to_rgb(images: Tensor) -> np.ndarray:
        images = images * preprocessor.std + preprocessor.mean
        return images.clamp(0, 255).permute(0, 2, 3, 1).byte().cpu().numpy()

    return Reconstructions(to_rgb(inputs), to_rgb(predicted), visible)

"""Drop path whose rate is data, for blocks that are compiled."""

import torch
from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn


class TensorDropPath(nn.Module):
    """Drop path (stochastic depth per sample) with its rate in a buffer.

    ``torch.compile`` compiles anew for every other number that it meets. Rates
    grow from block to block, and so each block would be compiled for itself. A
    tensor is an input: all blocks of a stage are one program.

    Source: `Deep Networks with Stochastic Depth <https://arxiv.org/abs/1603.09382>`_.

    Args:
        rate (float): Probability that a sample's branch is dropped, below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.register_buffer('rate', torch.tensor(rate), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of ``x``, B x ...; what stays is divided by its probability."""
        if not self.training:
            return x
        keep = 1 - self.rate
        draw = torch.rand((len(x), *[1] * (x.ndim - 1)), dtype=x.dtype, device=x.device)
        return x / keep * (keep + draw).floor()


def use_tensor_drop_paths(model: nn.Module) -> None:
    """Replace the drop paths of a model, in place, unless all rates are 0."""
    found = [m for m in model.modules() if any(isinstance(c, DropPath) for c in m.children())]
    paths = [m for m in model.modules() if isinstance(m, DropPath)]
    if not any(path.drop_prob for path in paths):
        return
    for module in found:
        for name, child in list(module.named_children()):
            if isinstance(child, DropPath):
                setattr(module, name, TensorDropPath(float(child.drop_prob)))

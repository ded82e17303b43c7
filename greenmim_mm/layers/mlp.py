"""MLP branch of a transformer block that keeps little for its backward."""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _for_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Input of a layer norm as autocast has it: float32, but for the mixed kernel of the CPU."""
    return x if x.device.type == 'cpu' else x.to(weight.dtype)


def _normalize(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tuple[Tensor, ...]:
    return torch.native_layer_norm(_for_norm(x, weight), weight.shape, weight, bias, eps)


class _MLPBranch(torch.autograd.Function):
    """Keeps x and the hidden layer before GELU (5 C per token) instead of 10 C.

    The norm and GELU are computed again in the backward: next to the six matrix
    products they cost next to nothing.
    """

    @staticmethod
    def forward(ctx, x, norm_weight, norm_bias, w1, b1, w2, b2, eps):
        normed, mean, rstd = _normalize(x, norm_weight, norm_bias, eps)
        hidden = F.linear(normed.to(w1.dtype), w1, b1)
        ctx.save_for_backward(x, mean, rstd, hidden, norm_weight, norm_bias, w1, w2)
        ctx.eps = eps
        return x + F.linear(F.gelu(hidden), w2, b2)

    @staticmethod
    def backward(ctx, grad):
        x, mean, rstd, hidden, norm_weight, norm_bias, w1, w2 = ctx.saved_tensors
        out_grad = grad.to(w2.dtype).flatten(0, -2)
        hidden = hidden.flatten(0, -2)
        grad_w2 = out_grad.t() @ F.gelu(hidden)
        grad_hidden = out_grad @ w2
        torch.ops.aten.gelu_backward.grad_input(grad_hidden, hidden, grad_input=grad_hidden)
        normed = _normalize(x, norm_weight, norm_bias, ctx.eps)[0].to(w1.dtype)
        grad_w1 = grad_hidden.t() @ normed.flatten(0, -2)
        grad_normed = (grad_hidden @ w1).view(x.shape)
        source = _for_norm(x, norm_weight)
        grad_x, *grad_norm = torch.ops.aten.native_layer_norm_backward(
            grad_normed.to(source.dtype), source, norm_weight.shape, mean, rstd, norm_weight,
            norm_bias, [True, True, True])  # fmt: skip
        grad_x = grad_x.to(x.dtype).add_(grad)
        return grad_x, *grad_norm, grad_w1, grad_hidden.sum(0), grad_w2, out_grad.sum(0), None


def mlp_branch(x: Tensor, norm: nn.LayerNorm, fc1: nn.Linear, fc2: nn.Linear) -> Tensor:
    """``x + fc2(gelu(fc1(norm(x))))``.

    Args:
        x (Tensor): Of shape ... x C.
        norm (nn.LayerNorm): Over C.
        fc1 (nn.Linear): C to the hidden width.
        fc2 (nn.Linear): Back to C.
    """
    device = x.device.type
    linear = (fc1.weight, fc1.bias, fc2.weight, fc2.bias)
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        linear = tuple(parameter.to(dtype) for parameter in linear)
    with torch.autocast(device, enabled=False):
        return _MLPBranch.apply(x, norm.weight, norm.bias, *linear, norm.eps)


def _is_active(module: nn.Module) -> bool:
    """Whether a dropout or drop path does something; true of any other kind of module."""
    if isinstance(module, nn.Identity):
        return False
    rate = getattr(module, 'p', getattr(module, 'drop_prob', None))
    return rate is None or (module.training and rate > 0)


def ffn_branch(
    x: Tensor, norm: nn.Module, ffn: nn.Module, drop_path: Optional[nn.Module] = None
) -> Tensor:
    """``x + drop_path(ffn(norm(x)))``, by :func:`mlp_branch` where that is the same.

    Args:
        x (Tensor): Of shape ... x C.
        norm (nn.Module): Norm before the MLP.
        ffn (nn.Module): ``mmcv.cnn.bricks.transformer.FFN``, which may add the
            identity itself. With another activation than GELU, an active dropout
            or drop path, a layer scale, or inside ``torch.compile`` (which decides
            by itself what to keep) it is called as it is.
        drop_path (nn.Module, optional): Of a block whose FFN does not add the
            identity. Defaults to None.
    """
    (fc1, activation, *drops), fc2, *others = ffn.layers
    drop_path = nn.Identity() if drop_path is None else drop_path
    is_plain = (
        isinstance(norm, nn.LayerNorm)
        and isinstance(activation, nn.GELU)
        and activation.approximate == 'none'
        and isinstance(fc2, nn.Linear)
        and not any(map(_is_active, [*drops, *others, ffn.dropout_layer, ffn.gamma2, drop_path]))
    )
    # bf16 on a CPU: products are so fast that computing GELU again costs 5 %; there it is kept
    cpu_autocast = x.device.type == 'cpu' and torch.is_autocast_enabled('cpu')
    if is_plain and not cpu_autocast and not torch.compiler.is_compiling():
        return mlp_branch(x, norm, fc1, fc2)
    if ffn.add_identity:
        return ffn(norm(x), identity=x)
    return x + drop_path(ffn(norm(x)))

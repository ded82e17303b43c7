"""Group window attention: attention inside the groups of a plan.

Shapes: B images, L visible tokens of an image, T tokens of a plan (L, or B * L
with per-image masks), G groups of S slots, H heads of D channels, C = H * D.

A plan of a shared mask is applied to every image of the batch; a plan of
per-image masks covers the whole batch at once. Features are B x L x C in both
cases, and ``view(-1, T, C)`` is all that tells them apart.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..sparsity.grouping import GroupPlan


class _Rearrange(torch.autograd.Function):
    """``x.index_select(1, index)`` whose gradient is a gather by ``inverse`` as well.

    Valid where slots that ``inverse`` does not name receive no gradient (pad
    slots), which spares the slow accumulating scatter of ``index_select``.
    """

    @staticmethod
    def forward(ctx, x, index, inverse):
        ctx.save_for_backward(inverse)
        return x.index_select(1, index)

    @staticmethod
    def backward(ctx, grad):
        (inverse,) = ctx.saved_tensors
        return grad.index_select(1, inverse), None, None


class _ScatterSlots(torch.autograd.Function):
    """``x.index_select(1, scatter_index)``; pad slots get a zero gradient."""

    @staticmethod
    def forward(ctx, x, scatter_index):
        ctx.save_for_backward(scatter_index)
        ctx.num_slots = x.shape[1]
        return x.index_select(1, scatter_index)

    @staticmethod
    def backward(ctx, grad):
        (scatter_index,) = ctx.saved_tensors
        full = grad.new_zeros(grad.shape[0], ctx.num_slots, *grad.shape[2:])
        return full.index_copy_(1, scatter_index, grad), None


def gather_slots(tokens: Tensor, plan: GroupPlan) -> Tensor:
    """Tokens of shape X x T x ... to slots of shape X x (G * S) x ...

    The gradient of pad slots is dropped: they must not be read, or only by
    other pad slots.
    """
    return _Rearrange.apply(tokens, plan.gather_index, plan.scatter_index)


def scatter_slots(slots: Tensor, plan: GroupPlan) -> Tensor:
    """Slots of shape X x (G * S) x ... back to tokens of shape X x T x ..."""
    return _ScatterSlots.apply(slots, plan.scatter_index)


def relative_position_bias(table: Tensor, relative_index: Tensor) -> Tensor:
    """Additive bias of all pairs of slots: relative position, or -inf across windows.

    Args:
        table (Tensor): Relative position bias table of shape (2w - 1)^2 x H.
        relative_index (Tensor): :attr:`GroupPlan.relative_index`, of shape G x S x S.

    Returns:
        Tensor: Of shape G x H x S x S. A pad slot has 0 for itself, so that no
        row is empty.
    """
    heads = table.shape[1]
    other_window = table.new_full((1, heads), float('-inf'))
    itself = table.new_zeros(1, heads)
    extended = torch.cat([table, other_window, itself])
    groups, size, _ = relative_index.shape
    bias = extended.t().contiguous().index_select(1, relative_index.reshape(-1))  # H x G*S*S
    return bias.view(heads, groups, size, size).transpose(0, 1)


def group_attention(
    qkv: Tensor, plan: GroupPlan, bias: Tensor, scale: float, dropout: float = 0.0
) -> Tensor:
    """Multi-head self-attention of every token to the visible tokens of its window.

    Args:
        qkv (Tensor): Queries, keys and values of shape B x L x 3C, in the order
            of ``WindowMSA.qkv`` (3, H, D).
        plan (GroupPlan): On the same device.
        bias (Tensor): :func:`relative_position_bias`, of shape G x H x S x S.
        scale (float): Factor of the logits.
        dropout (float): Dropout rate of the attention weights. Defaults to 0.

    Returns:
        Tensor: Attended values of shape B x L x C.
    """
    batch, length, channels3 = qkv.shape
    groups, heads, size, _ = bias.shape
    slots = gather_slots(qkv.reshape(-1, plan.num_tokens, channels3), plan)
    slots = slots.view(-1, groups, size, 3, heads, channels3 // (3 * heads))
    # X x G x S x 3 x H x D -> 3 x X x G*H x S x D: groups stand beside heads, so that
    # one bias of shape 1 x G*H x S x S serves every image
    query, key, value = slots.permute(3, 0, 1, 4, 2, 5).flatten(2, 3)
    bias = bias.reshape(1, groups * heads, size, size).to(query.dtype)
    out = F.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, dropout_p=dropout, scale=scale
    )
    out = out.view(-1, groups, heads, size, out.shape[-1]).transpose(2, 3)  # X G S H D
    out = scatter_slots(out.reshape(len(out), groups * size, channels3 // 3), plan)
    return out.view(batch, length, channels3 // 3)


def merge_2x2(tokens: Tensor) -> Tensor:
    """Join the four tokens of every 2x2 block; channel order of ``nn.Unfold``.

    Args:
        tokens (Tensor): In z-order, of shape B x L x C.

    Returns:
        Tensor: Of shape B x (L / 4) x 4C, channel-major: the four positions
        (row first) of channel 0, then of channel 1, ...
    """
    batch, length, channels = tokens.shape
    blocks = tokens.view(batch, length // 4, 4, channels)
    return blocks.transpose(2, 3).reshape(batch, length // 4, 4 * channels)

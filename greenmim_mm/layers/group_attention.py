"""Group window attention: attention inside the groups of a plan.

Shapes: B images, L visible tokens of an image, T tokens of a plan (L, or B * L
with per-image masks), X = B * L / T times that the plan is applied, G groups of
S slots, H heads of D channels, C = H * D, R rows of the relative position table.

A plan of a shared mask is applied to every image of the batch (X = B); a plan of
per-image masks covers the whole batch at once (X = 1). Features are B x L x C in
both cases, and ``view(X, T, C)`` is all that tells them apart.

Why the gradient is written by hand: with a bias that needs a gradient
``scaled_dot_product_attention`` takes its slowest path on a CPU, copies queries,
keys and values twice and keeps three times as much. Here one pass gathers the
rows of all heads, and the backward keeps what it gathered and the attention weights.
"""

from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..sparsity.grouping import GroupPlan


class AttentionIndex(NamedTuple):
    """A plan for features of a given batch and number of heads.

    A "row" is one head of one token, D numbers that lie next to each other.
    Tokens are laid out X x T x heads, slots heads x X x G x S.

    Attributes:
        qkv_to_slots (Tensor): Row of ``qkv`` (3H heads) in each slot.
        out_to_slots (Tensor): Row of the output (H heads) in each slot.
        slots_to_qkv (Tensor): Slot of each row of ``qkv``.
        slots_to_out (Tensor): Slot of each row of the output.
        relative (Tensor): :attr:`GroupPlan.relative_index` of shape (G * S) x S.
            Flat, because ``torch.compile`` would compile anew for G = 1.
        pairs (Tensor): :meth:`GroupPlan.pairs`, the entries of ``relative`` that
            name a row of the table.
    """

    qkv_to_slots: Tensor
    out_to_slots: Tensor
    slots_to_qkv: Tensor
    slots_to_out: Tensor
    relative: Tensor
    pairs: Tensor


def attention_index(
    plan: GroupPlan, batch: int, length: int, heads: int, relative_position: bool = True
) -> AttentionIndex:
    """Index of a plan for features of shape B x L x C, made once per stage.

    Args:
        plan (GroupPlan): On the device of the features.
        batch (int): Images B.
        length (int): Visible tokens L of an image.
        heads (int): Attention heads H.
        relative_position (bool): Whether the attention has a table of relative
            positions; without one, all pairs of a window share one row, R = 1.
            Defaults to True.
    """
    device = plan.gather_index.device
    times = batch * length // plan.num_tokens
    time = torch.arange(times, device=device)

    def to_slots(heads):  # heads x X x (G * S)
        head = torch.arange(heads, device=device)[:, None, None]
        token = time[:, None] * plan.num_tokens + plan.gather_index
        return (token * heads + head).flatten()

    def to_tokens(heads):  # X x T x heads
        head = torch.arange(heads, device=device)
        block = head * times + time[:, None, None]
        return (block * len(plan.gather_index) + plan.scatter_index[:, None]).flatten()

    relative = plan.relative_index.flatten(0, 1)
    if not relative_position:
        relative = (relative - (2 * plan.window - 1) ** 2 + 1).clamp(min=0)
    return AttentionIndex(
        to_slots(3 * heads),
        to_slots(heads),
        to_tokens(3 * heads),
        to_tokens(heads),
        relative,
        plan.pairs(),
    )


@lru_cache
def _bias_constants(heads: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Bias "in another window" and "a pad slot and itself" (so that no row is empty)."""
    return torch.tensor([[float('-inf'), 0.0]], dtype=dtype, device=device).repeat(heads, 1)


def relative_position_bias(table: Tensor, relative: Tensor) -> Tensor:
    """Additive bias of all pairs of slots: relative position, or -inf across windows.

    Args:
        table (Tensor): Relative position bias table of shape R x H.
        relative (Tensor): :attr:`AttentionIndex.relative`, of shape (G * S) x S.

    Returns:
        Tensor: Of shape H x 1 x G x S x S; 1 stands for X.
    """
    heads, size = table.shape[1], relative.shape[1]
    extended = torch.cat([table.t(), _bias_constants(heads, table.dtype, table.device)], 1)
    return extended.index_select(1, relative.flatten()).view(heads, 1, -1, size, size)


def _rows(x: Tensor, index: Tensor, dims: int) -> Tensor:
    return x.reshape(-1, dims).index_select(0, index)


def _attend(
    qkv: Tensor, table: Tensor, index: AttentionIndex, scale: float
) -> Tuple[Tensor, Tensor, Tensor]:
    """Attended values of shape B x L x C; gathered rows and weights for the backward."""
    dims, size = qkv.shape[-1] // (3 * table.shape[1]), index.relative.shape[1]
    slots = _rows(qkv, index.qkv_to_slots, dims)
    query, key, value = slots.view(3, -1, size, dims)
    bias = relative_position_bias(table, index.relative)
    logits = torch.bmm(query, key.transpose(1, 2)).view(len(bias), -1, *bias.shape[2:])
    # logits and softmax in float32 at least, as under autocast
    weights = torch.add(bias, logits, alpha=scale).softmax(-1).to(qkv.dtype).view(-1, size, size)
    out = _rows(torch.bmm(weights, value), index.slots_to_out, dims)
    return out.view(*qkv.shape[:-1], qkv.shape[-1] // 3), slots, weights


def _attend_backward(
    grad: Tensor,
    slots: Tensor,
    weights: Tensor,
    table: Tensor,
    index: AttentionIndex,
    scale: float,
    needs_table: bool = True,
) -> Tuple[Tensor, Optional[Tensor]]:
    """Gradients of ``qkv`` and, if it is needed, of ``table``.

    A pad slot takes the gradient of the token that it repeats. Nothing of that
    reaches a token: a pad is a key of itself alone, and its row is not read.

    The gradient of the table is summed over the pairs that share a window. All
    others (often most) have a gradient of 0; added as well, they would all fall
    on one number per head, and a GPU would do that one after the other.
    """
    (rows, heads), (size, dims) = table.shape, (weights.shape[-1], slots.shape[-1])
    query, key, value = slots.view(3, -1, size, dims)
    grad_slots = torch.empty_like(slots)
    grad_query, grad_key, grad_value = grad_slots.view(3, -1, size, dims)
    grad_out = _rows(grad, index.out_to_slots, dims).view(-1, size, dims)
    torch.bmm(weights.transpose(1, 2), grad_out, out=grad_value)
    grad_weights = torch.bmm(grad_out, value.transpose(1, 2))
    grad_logits = torch._softmax_backward_data(
        grad_weights.to(table.dtype), weights.to(table.dtype), -1, table.dtype
    )
    grad_table = None
    if needs_table:
        grad_bias = grad_logits.view(heads, -1, index.relative.numel()).sum(1)
        row = index.relative.flatten().index_select(0, index.pairs)
        grad_table = table.new_zeros(heads, rows)
        grad_table.index_add_(1, row, grad_bias.index_select(1, index.pairs))
        grad_table = grad_table.t().contiguous()
    grad_logits = grad_logits.to(slots.dtype)
    by_key = grad_logits.transpose(1, 2)
    torch.baddbmm(grad_query, grad_logits, key, beta=0, alpha=scale, out=grad_query)
    torch.baddbmm(grad_key, by_key, query, beta=0, alpha=scale, out=grad_key)
    grad_qkv = _rows(grad_slots, index.slots_to_qkv, dims)
    return grad_qkv.view(*grad.shape[:-1], -1), grad_table


class _GroupAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv, table, scale, *index):
        out, slots, weights = _attend(qkv, table, AttentionIndex(*index), scale)
        ctx.save_for_backward(slots, weights, table, *index)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx, grad):
        slots, weights, table, *index = ctx.saved_tensors
        index = AttentionIndex(*index)
        needs_table = ctx.needs_input_grad[1]
        grads = _attend_backward(grad, slots, weights, table, index, ctx.scale, needs_table)
        return *grads, None, *[None] * len(index)


# The same two functions as operators that torch.compile does not look into: the
# number of groups changes from step to step, and the graph around them must not.


@torch.library.custom_op('greenmim_mm::group_attention', mutates_args=())
def _attend_op(
    qkv: Tensor,
    table: Tensor,
    scale: float,
    qkv_to_slots: Tensor,
    out_to_slots: Tensor,
    slots_to_qkv: Tensor,
    slots_to_out: Tensor,
    relative: Tensor,
    pairs: Tensor,
) -> Tuple[Tensor, Tensor, Tensor]:
    index = AttentionIndex(qkv_to_slots, out_to_slots, slots_to_qkv, slots_to_out, relative, pairs)
    return _attend(qkv, table, index, scale)


@_attend_op.register_fake
def _(qkv, table, scale, qkv_to_slots, out_to_slots, slots_to_qkv, slots_to_out, relative, pairs):
    dims, size = qkv.shape[-1] // (3 * table.shape[1]), relative.shape[1]
    num_rows = out_to_slots.shape[0]
    return (
        qkv.new_empty(*qkv.shape[:-1], qkv.shape[-1] // 3),
        qkv.new_empty(qkv_to_slots.shape[0], dims),
        qkv.new_empty(num_rows // size, size, size),
    )


@torch.library.custom_op('greenmim_mm::group_attention_backward', mutates_args=())
def _attend_backward_op(
    grad: Tensor,
    slots: Tensor,
    weights: Tensor,
    table: Tensor,
    scale: float,
    qkv_to_slots: Tensor,
    out_to_slots: Tensor,
    slots_to_qkv: Tensor,
    slots_to_out: Tensor,
    relative: Tensor,
    pairs: Tensor,
) -> Tuple[Tensor, Tensor]:
    index = AttentionIndex(qkv_to_slots, out_to_slots, slots_to_qkv, slots_to_out, relative, pairs)
    return _attend_backward(grad, slots, weights, table, index, scale)


@_attend_backward_op.register_fake
def _(grad, slots, weights, table, scale, *index):
    grad_qkv = grad.new_empty(*grad.shape[:-1], 3 * grad.shape[-1])
    return grad_qkv, table.new_empty(table.shape)


def _setup_context(ctx, inputs, output):
    _, table, ctx.scale, *index = inputs
    ctx.save_for_backward(*output[1:], table, *index)


def _op_backward(ctx, grad, *_):
    slots, weights, table, *index = ctx.saved_tensors
    grads = _attend_backward_op(grad, slots, weights, table, ctx.scale, *index)
    return *grads, None, *[None] * len(index)


_attend_op.register_autograd(_op_backward, setup_context=_setup_context)


def _attend_with_dropout(
    qkv: Tensor, table: Tensor, index: AttentionIndex, scale: float, dropout: float
) -> Tensor:
    """Torch's own attention and gradients, for dropout of the attention weights."""
    dims, size = qkv.shape[-1] // (3 * table.shape[1]), index.relative.shape[1]
    bias = relative_position_bias(table, index.relative)
    heads, _, groups = bias.shape[:3]
    slots = _rows(qkv, index.qkv_to_slots, dims).view(3, heads, -1, groups, size, dims)
    out = F.scaled_dot_product_attention(
        *slots, attn_mask=bias.to(qkv.dtype), dropout_p=dropout, scale=scale
    )
    return _rows(out, index.slots_to_out, dims).view(*qkv.shape[:-1], qkv.shape[-1] // 3)


def group_attention(
    qkv: Tensor,
    table: Optional[Tensor],
    index: AttentionIndex,
    scale: float,
    dropout: float = 0.0,
) -> Tensor:
    """Multi-head self-attention of every token to the visible tokens of its window.

    Args:
        qkv (Tensor): Queries, keys and values of shape B x L x 3C, in the order
            of ``WindowMSA.qkv`` (3, H, D).
        table (Tensor, optional): Relative position bias table of shape
            (2w - 1)^2 x H, or None with an index without relative positions.
        index (AttentionIndex): Of the plan, for this batch and number of heads.
        scale (float): Factor of the logits.
        dropout (float): Dropout rate of the attention weights. Defaults to 0.

    Returns:
        Tensor: Attended values of shape B x L x C.
    """
    dtype = torch.promote_types(qkv.dtype, torch.float32)
    if table is None:
        heads = len(index.slots_to_out) // qkv.shape[:-1].numel()
        table = qkv.new_zeros(1, heads, dtype=dtype)
    table = table.to(dtype)
    with torch.autocast(qkv.device.type, enabled=False):
        if dropout:
            return _attend_with_dropout(qkv, table, index, scale, dropout)
        if torch.compiler.is_compiling():
            return _attend_op(qkv, table, scale, *index)[0]
        return _GroupAttention.apply(qkv, table, scale, *index)


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

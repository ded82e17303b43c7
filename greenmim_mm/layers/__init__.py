"""Functions on visible tokens. torch only."""

from .group_attention import AttentionIndex, attention_index, group_attention, merge_2x2
from .mlp import ffn_branch, mlp_branch
from .sparse_conv import (
    block_conv,
    gather_from_grid,
    neighbour_index,
    sparse_avg_pool2d,
    sparse_conv2d,
)

__all__ = [
    'AttentionIndex',
    'attention_index',
    'block_conv',
    'ffn_branch',
    'gather_from_grid',
    'group_attention',
    'merge_2x2',
    'mlp_branch',
    'neighbour_index',
    'sparse_avg_pool2d',
    'sparse_conv2d',
]

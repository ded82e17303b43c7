"""Functions on visible tokens, and on windows of a whole grid. torch only."""

from .group_attention import AttentionIndex, attention_index, group_attention, merge_2x2
from .mlp import ffn_branch, mlp_branch
from .sparse_conv import (
    block_conv,
    gather_from_grid,
    neighbour_index,
    sparse_avg_pool2d,
    sparse_conv2d,
)
from .window_attention import relative_position_bias, window_attention

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
    'relative_position_bias',
    'sparse_avg_pool2d',
    'sparse_conv2d',
    'window_attention',
]

"""Layers on visible tokens. torch only."""

from .group_attention import (
    gather_slots,
    group_attention,
    merge_2x2,
    relative_position_bias,
    scatter_slots,
)

__all__ = [
    'gather_slots',
    'group_attention',
    'merge_2x2',
    'relative_position_bias',
    'scatter_slots',
]

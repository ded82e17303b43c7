"""Which part of the image is seen, and how it is arranged. torch and numpy only."""

from .grouping import GroupPlan, build_group_plan, window_ids
from .masking import Purpose, RandomMasking, derive_seed, unit_grid
from .packing import SLOT_MULTIPLE, attention_cost, choose_groups
from .tokens import TokenLayout, gather_patches, merge_z_order, scatter_to_grid, token_layout

__all__ = [
    'SLOT_MULTIPLE',
    'GroupPlan',
    'Purpose',
    'RandomMasking',
    'TokenLayout',
    'attention_cost',
    'build_group_plan',
    'choose_groups',
    'derive_seed',
    'gather_patches',
    'merge_z_order',
    'scatter_to_grid',
    'token_layout',
    'unit_grid',
    'window_ids',
]

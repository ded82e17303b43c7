from .differences import Differences, compare_shapes
from .load_record import LoadRecord, load_and_compare, record_loads
from .pretrained import (
    StrictInit,
    check_loaded,
    check_prefixes,
    fit_state_dict,
    forget_pretrained,
    load_pretrained,
    split_pretrained_cfg,
)

__all__ = [
    'Differences',
    'LoadRecord',
    'StrictInit',
    'check_loaded',
    'check_prefixes',
    'compare_shapes',
    'fit_state_dict',
    'forget_pretrained',
    'load_and_compare',
    'load_pretrained',
    'record_loads',
    'split_pretrained_cfg',
]

from .pretrained import StrictInit, fit_state_dict, load_pretrained, split_pretrained_cfg

__all__ = ['StrictInit', 'fit_state_dict', 'load_pretrained', 'split_pretrained_cfg']

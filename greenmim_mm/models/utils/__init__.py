from .pretrained import StrictInit, load_pretrained, split_pretrained_cfg

__all__ = ['StrictInit', 'load_pretrained', 'split_pretrained_cfg']

"""Hooks, the optimizer constructor and what the command-line tools share."""

from .hooks import NonFiniteLossHook, ReproducibilityHook
from .layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ['LayerDecayOptimWrapperConstructor', 'NonFiniteLossHook', 'ReproducibilityHook']

"""Hooks, the optimizer constructor and what the command-line tools share."""

from .hooks import (
    GreenMonitorHook,
    KNNHook,
    NonFiniteLossHook,
    ReconstructionHook,
    ReproducibilityHook,
)
from .layer_decay import LayerDecayOptimWrapperConstructor

__all__ = [
    'GreenMonitorHook',
    'KNNHook',
    'LayerDecayOptimWrapperConstructor',
    'NonFiniteLossHook',
    'ReconstructionHook',
    'ReproducibilityHook',
]

from .non_finite_loss_hook import NonFiniteLossHook
from .reproducibility_hook import ReproducibilityHook

__all__ = ['NonFiniteLossHook', 'ReproducibilityHook']

from .checkpoint_hook import CheckpointHook
from .knn_hook import KNNHook
from .monitor_hook import GreenMonitorHook
from .non_finite_loss_hook import NonFiniteLossHook
from .prediction_pictures_hook import PredictionPicturesHook
from .reconstruction_hook import ReconstructionHook
from .reproducibility_hook import ReproducibilityHook

__all__ = [
    'CheckpointHook',
    'GreenMonitorHook',
    'KNNHook',
    'NonFiniteLossHook',
    'PredictionPicturesHook',
    'ReconstructionHook',
    'ReproducibilityHook',
]

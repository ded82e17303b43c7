"""Pictures of what happens: losses, reconstructions, groups, detections; an HTML report."""

from .figures import (
    plot_ap_bars,
    plot_detections,
    plot_groups,
    plot_losses,
    plot_reconstructions,
)
from .report import write_report
from .runs import load_pretrain_model, read_scalars, reconstruct_images

__all__ = [
    'load_pretrain_model',
    'plot_ap_bars',
    'plot_detections',
    'plot_groups',
    'plot_losses',
    'plot_reconstructions',
    'read_scalars',
    'reconstruct_images',
    'write_report',
]

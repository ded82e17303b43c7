"""Pictures of what happens: losses, reconstructions, groups, detections; an HTML report."""

from .figures import (
    plot_detections,
    plot_groups,
    plot_losses,
    plot_reconstructions,
)
from .report import write_report
from .runs import defined, read_scalars
from .study import last_evaluation, plot_study, study_table

__all__ = [
    'defined',
    'last_evaluation',
    'plot_detections',
    'plot_groups',
    'plot_losses',
    'plot_reconstructions',
    'plot_study',
    'read_scalars',
    'study_table',
    'write_report',
]

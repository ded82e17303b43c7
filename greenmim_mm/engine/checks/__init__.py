"""Checks before a run: what it uses is compared with what it was given.

One file per subject. A check is a function from a config and files to a list of findings; it
builds no model and changes nothing. :func:`enforce` says the warnings and ends the run on errors.
"""

from .batches import check_batches
from .classes import check_classes
from .files import check_datasets, check_work_dir
from .finding import CheckError, Finding, enforce, say
from .learning_rate import check_learning_rate
from .names import check_names
from .numbers import check_numbers
from .options import check_options
from .schedule import check_schedule
from .weights import check_checkpoints

__all__ = [
    'CheckError',
    'Finding',
    'check_batches',
    'check_checkpoints',
    'check_classes',
    'check_datasets',
    'check_learning_rate',
    'check_names',
    'check_numbers',
    'check_options',
    'check_schedule',
    'check_work_dir',
    'enforce',
    'say',
]

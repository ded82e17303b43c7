"""Registries of the scope ``greenmim_mm``.

mmengine imports this module by name when a config says
``type='greenmim_mm.X'``; ``locations`` tells it where the classes are.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='greenmim_mm', locations=['greenmim_mm.models']
)
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='greenmim_mm', locations=['greenmim_mm.datasets']
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='greenmim_mm',
    locations=['greenmim_mm.datasets'],
)
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='greenmim_mm', locations=['greenmim_mm.engine.hooks']
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='greenmim_mm',
    locations=['greenmim_mm.engine.layer_decay'],
)

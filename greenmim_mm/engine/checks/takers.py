"""Who takes a part of a config, and under which names: mmengine's runner and registered classes."""

import inspect
from typing import Callable, Dict, Optional, Sequence, Tuple

import mmengine.registry as mm
import torch
from mmcv import ops
from mmengine.config import ConfigDict
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from mmpretrain.registry import BATCH_AUGMENTS
from torch import nn
from torch.utils.data import DataLoader

from ... import registry  # noqa: F401  (makes the scope greenmim_mm known)
from .parameters import Parameters, keys_read, named, parameters

# what a run reads at the top level of a config
READ = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
    # by the runner and its strategies
    'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'strategy', 'sync_bn',
    'partial_load',  # by our runner
    # by MMPretrain's, MMDetection's and MMSegmentation's own scripts
    'tta_model', 'tta_pipeline',
}  # fmt: skip
DEFAULT_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler',
                 'checkpoint', 'visualization')  # fmt: skip
# dicts whose keys are names of parameters, files or fields: any key may be right
FREE = ('custom_keys', 'metainfo', 'data_prefix', 'meta_keys', 'dist_cfg', 'backend_args')

_DEFAULT_TYPES = {
    'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop', 'optim_wrapper': 'OptimWrapper',
    'log_processor': 'LogProcessor', 'visualizer': 'Visualizer',
    'model_wrapper_cfg': 'MMDistributedDataParallel',
}  # fmt: skip
_LOADER = (mm.DATASETS, mm.TRANSFORMS, mm.DATA_SAMPLERS, mm.FUNCTIONS)
_MODEL = (mm.MODELS, mm.TASK_UTILS, mm.WEIGHT_INITIALIZERS, BATCH_AUGMENTS)
_REGISTRIES = {
    'model': _MODEL, 'tta_model': _MODEL, 'data_preprocessor': _MODEL,
    'train_dataloader': _LOADER, 'val_dataloader': _LOADER, 'test_dataloader': _LOADER,
    'tta_pipeline': (mm.TRANSFORMS,),
    'train_cfg': (mm.LOOPS,), 'val_cfg': (mm.LOOPS,), 'test_cfg': (mm.LOOPS,),
    'optim_wrapper': (mm.OPTIM_WRAPPERS, mm.OPTIMIZERS),
    'param_scheduler': (mm.PARAM_SCHEDULERS,),
    'val_evaluator': (mm.METRICS, mm.EVALUATOR), 'test_evaluator': (mm.METRICS, mm.EVALUATOR),
    'default_hooks': (mm.HOOKS, *_LOADER, *_MODEL), 'custom_hooks': (mm.HOOKS, *_LOADER, *_MODEL),
    'visualizer': (mm.VISUALIZERS, mm.VISBACKENDS), 'log_processor': (mm.LOG_PROCESSORS,),
    'model_wrapper_cfg': (mm.MODEL_WRAPPERS,),
}  # fmt: skip


def registered(
    name: object, registries: Sequence[Registry], scope: Optional[str]
) -> Optional[Callable]:
    """The class or function of a ``type``, or None where no registry has it."""
    if not isinstance(name, str):  # of configs in mmengine's new style
        return name if callable(name) else None
    for candidates in registries:
        if candidates in (mm.FUNCTIONS, BATCH_AUGMENTS):  # of one package alone
            if name in candidates:
                return candidates.get(name)
            continue
        try:
            with candidates.switch_scope_and_registry(scope) as within:
                found = within.get(name)
        except Exception:  # importing a module of the registry may raise anything
            continue
        if found is not None:
            return found
    return None


def taker(path: Sequence[str], node: ConfigDict, kind: object, scope: Optional[str]):
    """The class or function that takes the dict at a place of a config.

    Args:
        path (Sequence[str]): Keys from the top level to the dict.
        node (ConfigDict): The dict.
        kind (object): Its ``type``, or None.
        scope (str, optional): Default scope there.
    """
    if kind is None and len(path) == 1:
        kind = _DEFAULT_TYPES.get(path[0])
        if path[0] == 'train_cfg':
            kind = 'EpochBasedTrainLoop' if node.get('by_epoch', True) else 'IterBasedTrainLoop'
    return registered(kind, _REGISTRIES.get(path[0], ()), scope) if kind is not None else None


def names_for(
    path: Sequence[str], node: ConfigDict, kind: object, scope: Optional[str]
) -> Parameters:
    """Names that may stand in the dict at a place of a config.

    Args:
        path (Sequence[str]): Keys from the top level to the dict.
        node (ConfigDict): The dict.
        kind (object): Its ``type``, or None; of ``paramwise_cfg``, that of the constructor.
        scope (str, optional): Default scope there.
    """
    if path[-1] in FREE:
        return Parameters({}, others=True)
    if path[-2:-1] == ['custom_keys']:
        return Parameters(named(('lr_mult', 'decay_mult')), others=True)
    if path[-1] == 'paramwise_cfg':
        kind = registered(
            kind or 'DefaultOptimWrapperConstructor', [mm.OPTIM_WRAPPER_CONSTRUCTORS], scope
        )
        names = keys_read(kind, 'paramwise_cfg')
        found = Parameters(named(names), others=not names)
    elif path[0] == 'model' and path[-1] == 'nms':
        found = _of_nms(kind)
    elif (names := _fixed(path)) is not None:
        found = Parameters(names)
    else:
        kind = taker(path, node, kind, scope)
        found = Parameters({}, others=True) if kind is None else parameters(kind)
    around = named((*_around(path), 'type', '_delete_', '_scope_'))
    return Parameters({**around, **found.names}, found.others)


def _of_nms(kind: object) -> Parameters:
    """Names that mmcv's ``batched_nms`` takes from its ``nms_cfg``."""
    operation = getattr(ops, str(kind or 'nms'), None)
    if operation is None:
        return Parameters({}, others=True)
    names = {name: k for name, k in parameters(operation).names.items() if name != 'boxes'}
    names.pop('scores', None)
    return Parameters({**names, **named(('class_agnostic', 'split_thr', 'max_num'))})


def _fixed(path: Sequence[str]) -> Optional[Dict[str, object]]:
    """Names in the dicts that mmengine reads itself."""
    if len(path) == 1:
        if path[0].endswith('_dataloader'):
            more = named(('num_batch_per_epoch', 'disable_subprocess_warning'))
            return {**parameters(DataLoader).names, **more}
        names = {
            'auto_scale_lr': dict(enable=bool, base_batch_size=int),
            'randomness': parameters(Runner.set_randomness).names,
            'env_cfg': named(('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit')),
            'custom_imports': named(('imports', 'allow_failed_imports')),
            'compile': parameters(torch.compile).names,
        }
        return names.get(path[0])
    if tuple(path) == ('env_cfg', 'mp_cfg'):
        return parameters(set_multi_processing).names
    if path[0] == 'optim_wrapper' and path[-1] == 'clip_grad':
        utils = nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_
        return {name: kind for util in utils for name, kind in parameters(util).names.items()}
    return None


def _around(path: Sequence[str]) -> Tuple[str, ...]:
    """Names that mmengine or mmcv take out of a dict before its class gets the rest."""
    if tuple(path) == ('train_cfg',):
        return ('by_epoch',)
    if tuple(path) == ('model',):
        return ('data_preprocessor',)
    if tuple(path) == ('optim_wrapper',):
        return ('constructor', 'paramwise_cfg', 'optimizer')
    if path[0] == 'param_scheduler':
        return ('convert_to_iter_based', 'epoch_length')
    if path[0] in ('default_hooks', 'custom_hooks'):
        return ('priority',)
    if 'init_cfg' in path:
        return ('override', 'layer', 'bias', 'bias_prob')
    return ('requires_grad',) if path[-1].endswith('norm_cfg') else ()

"""Loading a pre-trained backbone, or stopping: never training silently from scratch."""

import re
from collections import Counter
from typing import Dict, Iterator, List, Optional, Tuple, Union

from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.model.weight_init import PretrainedInit, update_init_info
from torch import Tensor, nn

from ...compat.safe_load import load_checkpoint_file, weights_of
from .differences import compare_shapes
from .load_record import LoadRecord

InitCfg = Union[dict, List[dict], None]

# what a backbone does not take from a file of a whole model, and what a file need not have
_HEADS = re.compile(
    r'(fc|heads?|head_dist|classifier|cls_head|decoder\w*|mask_token|norm\d+)(\.|$)'
)
_OUTPUT_NORMS = re.compile(r'norm\d+\.')


def split_pretrained_cfg(init_cfg: InitCfg) -> Tuple[Optional[dict], InitCfg]:
    """Separate ``dict(type='Pretrained', ...)`` from other initialisers.

    Returns:
        Tuple[dict | None, dict | List[dict] | None]: The ``Pretrained`` entry,
        and what is left.
    """
    cfgs = [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or [])
    pretrained = [cfg for cfg in cfgs if cfg['type'] in ('Pretrained', PretrainedInit)]
    others = [cfg for cfg in cfgs if cfg not in pretrained]
    if len(pretrained) > 1:
        raise ValueError(f"init_cfg must hold at most one dict(type='Pretrained'), got {init_cfg}")
    return (pretrained[0] if pretrained else None), (others or None)


def _strip_prefix(
    state_dict: Dict[str, Tensor], prefix: Optional[str], checkpoint: str
) -> Dict[str, Tensor]:
    prefix = prefix or ''
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    found = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    if not found:
        heads = Counter(key.split('.')[0] + '.' for key in state_dict)
        raise ValueError(
            f'init_cfg.prefix={prefix!r} matches no key of {checkpoint}; its keys start with '
            + ', '.join(f'{head!r} ({number} keys)' for head, number in heads.items())
        )
    return found


def load_pretrained(
    module: BaseModule,
    checkpoint: str,
    prefix: Optional[str] = None,
    map_location: str = 'cpu',
    optional: Tuple[str, ...] = (),
) -> None:
    """Load every tensor of a backbone, or raise.

    mmengine's ``Pretrained`` warns about a missing ``prefix`` and trains from
    scratch; here each key of the module must be in the checkpoint with its
    shape and the other way round. Position tables that the module itself knows
    how to resize (its load hooks) are resized. The file is read without
    executing code from it.

    Args:
        module (BaseModule): The backbone.
        checkpoint (str): Path or URL of a checkpoint.
        prefix (str, optional): Prefix of the backbone's keys in the file, for
            example ``'backbone.'``. Defaults to None, for keys without prefix.
        map_location (str): Where tensors are loaded. Defaults to 'cpu'.
        optional (Tuple[str, ...]): First parts of keys that either side may
            lack, such as output norms; the log names them. Defaults to ().

    Raises:
        ValueError: If the prefix matches nothing, or keys or shapes differ.
    """
    loaded = load_checkpoint_file(checkpoint, map_location)
    state_dict = weights_of(loaded, checkpoint)
    whole_model = any(key.startswith('backbone.') for key in state_dict)
    metadata = getattr(state_dict, '_metadata', None)
    state_dict = _strip_prefix(state_dict, prefix, checkpoint)
    try:
        used, new, unused = fit_state_dict(module, state_dict, optional, metadata)
    except ValueError as error:
        hint = ''
        if whole_model and not prefix:
            hint = "\nIt is of a whole model: set init_cfg.prefix='backbone.'"
        raise ValueError(
            f'{checkpoint} (init_cfg.prefix={prefix!r}) does not fit {type(module).__name__}; '
            f'nothing was loaded. {error}{hint}'
        ) from error
    module.load_state_dict(used, strict=False)
    if hasattr(module, '_params_init_info'):
        update_init_info(module, init_info=f'loaded from {checkpoint}')
    message = (
        f'{type(module).__name__}: loaded {len(used)} of {len(used) + len(new)} tensors '
        f'from {checkpoint}'
    )
    if new:
        message += f'; initialised anew: {", ".join(new)}'
    if unused:
        message += f'; not used: {", ".join(unused)}'
    MMLogger.get_current_instance().info(message)


def fit_state_dict(
    module: nn.Module,
    state_dict: Dict[str, Tensor],
    optional: Tuple[str, ...] = (),
    metadata: Optional[dict] = None,
) -> Tuple[Dict[str, Tensor], List[str], List[str]]:
    """What of a state dict a module takes, after its load hooks have resized position tables.

    Args:
        module (nn.Module): Is not changed.
        state_dict (Dict[str, Tensor]): Without prefix; the hooks change it in place.
        optional (Tuple[str, ...]): First parts of keys that either side may lack.
        metadata (dict, optional): Versions for the hooks. Defaults to None.

    Returns:
        Tuple[Dict[str, Tensor], List[str], List[str]]: The tensors taken, the
        module's keys that are not among them, the keys that have no use.

    Raises:
        ValueError: If keys are missing or unknown, or shapes differ.
    """
    for hook in module._load_state_dict_pre_hooks.values():
        hook(state_dict, '', metadata or {}, True, [], [], [])
    own = module.state_dict()

    def is_optional(key):
        return key.split('.')[0] in optional

    differences = compare_shapes(
        {
            key: value.shape
            for key, value in state_dict.items()
            if key in own or not is_optional(key)
        },
        {
            key: value.shape
            for key, value in own.items()
            if key in state_dict or not is_optional(key)
        },
    )
    if differences:
        raise ValueError(differences.describe())
    used = {k: v for k, v in state_dict.items() if k in own}
    return used, [k for k in own if k not in used], [k for k in state_dict if k not in own]


def forget_pretrained(model: nn.Module) -> None:
    """Let no module of a model start from a checkpoint."""
    for module in model.modules():
        if isinstance(module, BaseModule):
            pretrained, others = split_pretrained_cfg(module.init_cfg)
            if pretrained is not None:
                module.init_cfg = others


def check_prefixes(model: nn.Module) -> None:
    """Before weights are loaded: the prefix of every ``Pretrained`` must occur in its file.

    Raises:
        ValueError: If one matches no key, with the prefixes that the file has.
    """
    for module, pretrained in _foreign_pretrained(model):
        file, prefix = pretrained['checkpoint'], pretrained.get('prefix')
        if type(module).__module__ == 'mmdet.models.backbones.swin':  # takes these, always
            prefix = None if module.convert_weights else 'backbone.'
        if '://' not in file:
            _strip_prefix(weights_of(load_checkpoint_file(file), file), prefix, file)


def check_loaded(model: nn.Module, record: LoadRecord, partial: bool = False) -> None:
    """After weights were loaded: every module with ``Pretrained`` got all of its own.

    Backbones of other packages warn and go on. A :class:`StrictInit` has raised by itself.

    Args:
        model (nn.Module): Initialised.
        record (LoadRecord): Of its ``init_weights``.
        partial (bool): Log what was not loaded instead of raising. Defaults to False.

    Raises:
        ValueError: If tensors are missing, unknown or of other shapes. Classifiers and decoders
            that the file has beside the backbone are left out, and norms of outputs may be new.
    """
    for module, pretrained in _foreign_pretrained(model):
        differences = record.of(module)
        total = len(differences.model_keys)
        new = [key for key in differences.missing if _OUTPUT_NORMS.match(key)]
        unused = [key for key in differences.unknown if _HEADS.match(key)]
        differences.missing = [key for key in differences.missing if key not in new]
        differences.unknown = [key for key in differences.unknown if key not in unused]
        name, file = type(module).__name__, pretrained['checkpoint']
        if differences and not partial:
            raise ValueError(
                f'{file} (init_cfg.prefix={pretrained.get("prefix")!r}) does not fit {name}. '
                f'{differences.describe()}\n--partial takes what fits'
            )
        lost = [*new, *differences.missing, *differences.shapes]
        message = f'{name}: loaded {total - len(lost)} of {total} tensors from {file}'
        if lost:
            message += f'; initialised anew: {", ".join(lost)}'
        if unused:
            message += f'; not used: {", ".join(unused)}'
        MMLogger.get_current_instance().info(message)


def _foreign_pretrained(model: nn.Module) -> Iterator[Tuple[nn.Module, dict]]:
    """Modules with ``Pretrained`` whose loading is not ours, with that entry."""
    for module in model.modules():
        if isinstance(module, BaseModule) and not isinstance(module, StrictInit):
            pretrained, _ = split_pretrained_cfg(module.init_cfg)
            if pretrained is not None:
                yield module, pretrained


class StrictInit:
    """Mixin that goes before a backbone in the bases: ``Pretrained`` loads everything or raises.

    Attributes:
        default_init_cfg (dict, optional): Initialisers where ``init_cfg`` names
            none; None leaves it to the parent.
    """

    default_init_cfg: Optional[dict] = None

    def new_in_transfer(self) -> Tuple[str, ...]:
        """First parts of keys that a checkpoint need not have, or the backbone need not use."""
        return ()

    def init_weights(self) -> None:
        """Initialise; with ``init_cfg`` of type ``Pretrained``, load all or raise."""
        if self._is_init:
            BaseModule.init_weights(self)  # mmengine warns about the second call
            return
        init_cfg = self.init_cfg
        pretrained, others = split_pretrained_cfg(init_cfg)
        self.init_cfg = others or self.default_init_cfg
        self.init_as_parent()
        self.init_cfg, self._is_init = init_cfg, True
        if pretrained is not None:
            options = {k: v for k, v in pretrained.items() if k != 'type'}
            load_pretrained(self, optional=self.new_in_transfer(), **options)

    def init_as_parent(self) -> None:
        """Initialise by ``init_cfg``, which names no checkpoint here, or the parent's default."""
        super().init_weights()

    def train(self, mode: bool = True) -> 'StrictInit':
        """As in the parent, and returns itself, as ``nn.Module`` does."""
        super().train(mode)
        return self

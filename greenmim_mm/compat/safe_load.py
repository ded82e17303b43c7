"""Reading checkpoints without executing code from the file.

``torch.load(weights_only=True)`` refuses mmengine's training checkpoints
(``epoch_N.pth``), for they hold the log history beside the weights, and
mmengine then falls back to plain, unsafe pickle. The unpickler here builds
tensors, containers, numpy arrays and mmengine's ``HistoryBuffer``, and nothing
else: any other object becomes an inert :class:`Ignored`. So weights can be
taken from any file, and one's own run can be resumed from it.
"""

import ast
import json
import os.path as osp
import pickle
from types import SimpleNamespace
from typing import Any, Dict, Optional

import torch

# builtins and collections that only hold data
_BUILTINS = {'set', 'frozenset', 'list', 'dict', 'tuple', 'int', 'float', 'bool', 'complex',
             'bytes', 'bytearray', 'str', 'slice', 'range'}  # fmt: skip
_COLLECTIONS = {'OrderedDict', 'defaultdict', 'Counter', 'deque'}
_TORCH_UTILS = {'_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3',
                '_rebuild_parameter', '_rebuild_parameter_with_state'}  # fmt: skip
_NUMPY_MODULES = {'numpy', 'numpy.core.multiarray', 'numpy._core.multiarray'}
_NUMPY = {'_reconstruct', 'scalar', 'ndarray', 'dtype'}


class Ignored:
    """What an object of a foreign type becomes. It holds and does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __call__(self, *args, **kwargs):
        return Ignored()

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass


def _history_buffer_method(owner: Any, name: str) -> Any:
    """Stand in for ``getattr``, which pickled log histories name: their statistics only."""
    from mmengine.logging import HistoryBuffer

    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    return Ignored()


def _holds_data_only(module: str, name: str) -> bool:
    """Whether a global of a pickle is one of the data types that are rebuilt."""
    return (
        (module == 'builtins' and name in _BUILTINS)
        or (module == '_codecs' and name == 'encode')  # bytes, in protocol 2
        or (module == 'collections' and name in _COLLECTIONS)
        or (module == 'torch._utils' and name in _TORCH_UTILS)
        or (module == 'torch' and name in ('Size', 'device', 'Tensor'))
        or (module == 'torch' and isinstance(getattr(torch, name, None), torch.dtype))
        or (module == 'torch.nn.parameter' and name == 'Parameter')
        or (module in _NUMPY_MODULES and name in _NUMPY)
        or (module == 'numpy.dtypes' and name.endswith('DType'))
        or (module == 'mmengine.logging.history_buffer' and name == 'HistoryBuffer')
    )


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module == '__builtin__':  # its name in protocol 2, which torch.save uses
            module = 'builtins'
        if module == 'builtins' and name == 'getattr':
            return _history_buffer_method
        return super().find_class(module, name) if _holds_data_only(module, name) else Ignored


# what torch.load asks of a pickle module (storages it rebuilds itself)
_DATA_PICKLE = SimpleNamespace(
    __name__=__name__,
    Unpickler=_DataUnpickler,
    load=lambda file, **kwargs: _DataUnpickler(file, **kwargs).load(),
)


def load_checkpoint_file(filename: str, map_location: Optional[str] = 'cpu') -> dict:
    """Read a checkpoint; no code of the file runs.

    Args:
        filename (str): Local path, or a URL that mmengine can fetch. A ``.safetensors`` file, as
            ``publish_model.py`` writes it, becomes a dict with ``state_dict`` and ``meta``.
        map_location (str, optional): As in ``torch.load``. Defaults to 'cpu'.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a checkpoint, or is truncated, or what it calls its
            ``state_dict`` is not a dict of tensors.
    """
    from mmengine.fileio import get_local_path

    filename = osp.expanduser(filename)
    if '://' not in filename and not osp.isfile(filename):
        raise FileNotFoundError(f'checkpoint {filename!r} is not a file')
    with get_local_path(filename) as path:
        if filename.endswith('.safetensors'):
            return _load_safetensors(path, filename, map_location)
        try:
            checkpoint = torch.load(
                path, map_location=map_location, weights_only=False, pickle_module=_DATA_PICKLE
            )
        except Exception as error:  # what is no checkpoint may raise anything
            raise ValueError(f'checkpoint {filename} cannot be read: {error}') from error
    if not isinstance(checkpoint, dict):
        what = 'a pickled model' if isinstance(checkpoint, Ignored) else type(checkpoint).__name__
        raise ValueError(
            f'checkpoint {filename} must hold a dict, got {what}; save model.state_dict() instead'
        )
    if 'state_dict' in checkpoint:
        check_state_dict(checkpoint['state_dict'], f"checkpoint {filename}: 'state_dict'")
    return checkpoint


def _load_safetensors(path: str, filename: str, map_location: Optional[str]) -> dict:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ValueError(f'{filename} needs pip install safetensors') from error
    try:
        with safe_open(path, 'pt', device=str(map_location or 'cpu')) as file:
            state_dict = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            meta = {key: _value(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f'checkpoint {filename} cannot be read: {error}') from error
    check_state_dict(state_dict, f'checkpoint {filename}')
    return dict(state_dict=state_dict, meta=meta)


def _value(text: str) -> Any:
    """The value that a text of ``publish_model.py`` spells, else the text itself."""
    for read in (json.loads, ast.literal_eval) if text[:1] in '{[(' else (json.loads,):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text


def check_state_dict(state_dict: Any, what: str) -> None:
    """Raise unless every value is a tensor.

    Args:
        state_dict (Any): What a file or a caller calls its weights.
        what (str): Its name, for the message.

    Raises:
        ValueError: If it is no dict, empty, or holds anything but tensors.
    """
    if not isinstance(state_dict, dict):
        kind = 'a pickled object' if isinstance(state_dict, Ignored) else type(state_dict).__name__
        raise ValueError(f'{what} must be a dict of tensors, got {kind}')
    if not state_dict:
        raise ValueError(f'{what} is empty')
    for key, value in state_dict.items():
        if not isinstance(value, torch.Tensor) and not str(key).endswith('_extra_state'):
            kind = 'a pickled object' if isinstance(value, Ignored) else type(value).__name__
            raise ValueError(f'{what} must hold tensors only, got {kind} under {key!r}')


def weights_of(checkpoint: dict, filename: str) -> Dict[str, torch.Tensor]:
    """The weights in a checkpoint: below ``state_dict``, ``model`` or ``module``, or at the top.

    Args:
        checkpoint (dict): As :func:`load_checkpoint_file` returns it.
        filename (str): For messages.

    Raises:
        ValueError: If there are none, or one of them is no tensor.
    """
    for key in ('state_dict', 'model', 'module'):
        if key in checkpoint:
            check_state_dict(checkpoint[key], f'checkpoint {filename}: {key!r}')
            return checkpoint[key]
    # at the top, numbers and texts may stand beside the weights, under names without a dot
    named = {key: value for key, value in checkpoint.items()
             if isinstance(value, torch.Tensor) or '.' in str(key)}  # fmt: skip
    if not named:
        raise ValueError(
            f'checkpoint {filename} holds no weights: no tensor under state_dict, model, module or '
            f'at the top; its keys are {", ".join(map(str, list(checkpoint)[:8]))}'
        )
    check_state_dict(named, f'checkpoint {filename}')
    return named


def load_safely_in_mmengine() -> None:
    """Let mmengine read local checkpoints (``load_from``, ``resume``, ``init_cfg``) this way."""
    from mmengine.runner.checkpoint import CheckpointLoader

    # mmengine makes its log line of the name behind "load_from_"
    def load_from_local(filename, map_location=None):
        return load_checkpoint_file(filename, map_location)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)

"""Which tensors of a model were loaded from a file, whoever loaded them."""

from contextlib import contextmanager
from typing import Dict, Iterator, List, Set, Tuple

from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn

from .differences import Differences, Shape

# constants that the model computes, and counters
_COMPUTED = ('relative_position_index', 'relative_coords_table', 'attn_mask', 'num_batches_tracked')


class LoadRecord:
    """What :func:`record_loads` saw.

    Attributes:
        loaded (Set[int]): ``id`` of every parameter and buffer that got its value from a file.
        shapes (Dict[str, Tuple[Shape, Shape]]): By key, shapes in the file and in the module,
            where they differ.
        offered (Dict[str, None]): All keys that a module was offered, as its loader named them.
        unknown (Dict[str, None]): Those that no module wanted.
    """

    def __init__(self) -> None:
        self.loaded: Set[int] = set()
        self.shapes: Dict[str, Tuple[Shape, Shape]] = {}
        self.offered: Dict[str, None] = {}
        self.unknown: Dict[str, None] = {}

    def add(self, module: nn.Module, state_dict: dict, prefix: str, unexpected: List[str]) -> None:
        """Note what one module took for itself, without its children."""
        for name, tensor in own_tensors(module).items():
            given = state_dict.get(prefix + name)
            if given is None:
                continue
            if given.shape == tensor.shape:
                self.loaded.add(id(tensor))
            else:
                self.shapes[prefix + name] = (tuple(given.shape), tuple(tensor.shape))
        if not prefix:  # deeper ones are parts of it
            self.offered.update(dict.fromkeys(state_dict))
        self.unknown.update(dict.fromkeys(unexpected))

    def of(self, module: nn.Module, prefix: str = '') -> Differences:
        """What of a module was not loaded.

        Args:
            module (nn.Module): Whose tensors must all be loaded, but for computed constants.
            prefix (str): Put before its keys in messages. Defaults to ''.
        """
        tensors = module.state_dict(keep_vars=True)
        missing = [
            prefix + name
            for name, tensor in tensors.items()
            if id(tensor) not in self.loaded
            and not name.endswith(_COMPUTED)
            and name not in self.shapes
        ]
        return Differences(
            missing=missing,
            unknown=[key for key in self.unknown if not key.endswith(_COMPUTED)],
            shapes=dict(self.shapes),
            checkpoint_keys=list(self.offered),
            model_keys=list(tensors),
        )


def own_tensors(module: nn.Module) -> Dict[str, object]:
    """Parameters and persistent buffers of a module itself, by name."""
    tensors = {name: tensor for name, tensor in module._parameters.items() if tensor is not None}
    for name, tensor in module._buffers.items():
        if tensor is not None and name not in module._non_persistent_buffers_set:
            tensors[name] = tensor
    return tensors


@contextmanager
def record_loads() -> Iterator[LoadRecord]:
    """Watch every load of weights, by torch or mmengine, until the block ends.

    Loaders of backbones differ: some take a prefix and some do not, most only warn about what
    does not fit. All of them end in ``nn.Module._load_from_state_dict``, which is watched here.
    """
    record, original = LoadRecord(), nn.Module._load_from_state_dict

    def watched(self, state_dict, prefix, metadata, strict, missing, unexpected, errors):
        original(self, state_dict, prefix, metadata, strict, missing, unexpected, errors)
        record.add(self, state_dict, prefix, unexpected)

    nn.Module._load_from_state_dict = watched
    try:
        yield record
    finally:
        nn.Module._load_from_state_dict = original


def load_and_compare(model: nn.Module, state_dict: Dict[str, Tensor]) -> Differences:
    """Load what fits of a state dict, through the load hooks of the modules.

    Args:
        model (nn.Module): Changed in place.
        state_dict (Dict[str, Tensor]): Of the whole model.

    Returns:
        Differences: What was not loaded; the caller decides whether that is an error.
    """
    with record_loads() as record:
        load_state_dict(model, state_dict, logger='silent')
    return record.of(model)

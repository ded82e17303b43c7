"""What became of every tensor of a foreign checkpoint."""

import os.path as osp
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..compat.safe_load import load_checkpoint_file, weights_of
from ..models.utils import fit_state_dict
from ..version import __version__


class Row(NamedTuple):
    """A line of the report: what was done, with which tensors."""

    action: str
    old: str
    new: str
    shape: str


class Conversion:
    """Weights under our keys, collected from a file, with a report.

    Each tensor of the file must be taken or skipped by name: :meth:`save` raises
    for what is left. The file is read without executing code from it.

    Args:
        path (str): Path or URL of the checkpoint. The weights are looked for under
            ``state_dict``, ``model`` and ``module``, then at the top.
        prefixes (Sequence[str]): The first of these that starts any key is removed, and
            keys without it are skipped; none of them: keys stay as they are.

    Attributes:
        left (Dict[str, Tensor]): Tensors of the file that nothing was done with.
        weights (Dict[str, Tensor]): The result.
    """

    def __init__(self, path: str, prefixes: Sequence[str] = ()) -> None:
        self.path = path
        self.left = dict(weights_of(load_checkpoint_file(path), path))
        self.weights: Dict[str, Tensor] = {}
        self.rows: List[Row] = []
        if all(key.startswith('module.') for key in self.left):  # of DistributedDataParallel
            self.left = {key[len('module.') :]: value for key, value in self.left.items()}
        for prefix in prefixes:
            if any(key.startswith(prefix) for key in self.left):
                for key in [k for k in self.left if not k.startswith(prefix)]:
                    self.skip(key, f'not below {prefix}')
                self.left = {key[len(prefix) :]: value for key, value in self.left.items()}
                break

    def put(self, old: Sequence[str], new: str, value: Tensor, action: str) -> None:
        """Take tensors of the file as one of ours."""
        shapes = ' + '.join(str(tuple(self.left.pop(key).shape)) for key in old) or '-'
        if new in self.weights:
            raise ValueError(f'{self.path}: two tensors for {new}, the second is {old}')
        self.weights[new] = value
        changed = action not in ('copied', 'initialised')
        shape = f'{shapes} -> {tuple(value.shape)}' if changed else str(tuple(value.shape))
        self.rows.append(Row(action, ' + '.join(old) or '-', new, shape))

    def copy(self, old: str, new: str) -> None:
        """Take a tensor as it is."""
        self.put([old], new, self.left[old], 'copied')

    def skip(self, old: str, reason: str) -> None:
        """Leave a tensor out, and say why."""
        shape = str(tuple(self.left.pop(old).shape))
        self.rows.append(Row(f'skipped ({reason})', old, '-', shape))

    def skip_matching(self, reasons: Dict[str, str]) -> None:
        """Leave out every tensor whose whole key matches a pattern, for the reason beside it."""
        for key in list(self.left):
            for pattern, reason in reasons.items():
                if re.fullmatch(pattern, key):
                    self.skip(key, reason)
                    break

    def copy_matching(self, rules: Dict[str, str]) -> None:
        """Take every tensor that a rule (see :func:`first_match`) has a name for."""
        for key in list(self.left):
            new = first_match(key, rules)
            if new is not None:
                self.copy(key, new)

    def fit(self, module: nn.Module, optional: Tuple[str, ...] = ()) -> None:
        """Resize what the module's load hooks resize, and fill in what only the module has.

        Args:
            module (nn.Module): Initialised, without prefix in its keys.
            optional (Tuple[str, ...]): First parts of keys that either side may lack.

        Raises:
            ValueError: If the weights do not fit, or the file has tensors left.
        """
        self.check_nothing_left()
        before = {key: tuple(value.shape) for key, value in self.weights.items()}
        used, new, unused = fit_state_dict(module, self.weights, optional)
        row_of = {row.new: i for i, row in enumerate(self.rows)}
        for key in before:
            row = self.rows[row_of[key]]
            if key in used and tuple(used[key].shape) != before[key]:
                shape = f'{before[key]} -> {tuple(used[key].shape)}'
                self.rows[row_of[key]] = row._replace(action='resized', shape=shape)
            elif key not in used:
                reason = f'skipped (no use in this {type(module).__name__})'
                self.rows[row_of[key]] = row._replace(action=reason, new='-')
        own = module.state_dict()
        self.weights = dict(used)
        for key in new:
            self.put([], key, own[key].clone(), 'initialised')
        assert set(self.weights) == set(own), unused

    def check_nothing_left(self) -> None:
        """Raise a ValueError that names the tensors nothing was done with."""
        if self.left:
            names = ', '.join(f'{key} {tuple(v.shape)}' for key, v in list(self.left.items())[:8])
            more = ', ...' if len(self.left) > 8 else ''
            raise ValueError(
                f'{self.path}: {len(self.left)} tensors have no place here: {names}{more}'
            )

    def save(self, path: str, prefix: str = '') -> None:
        """Write the result as a checkpoint; nothing is written if tensors are left.

        Args:
            path (str): File to write.
            prefix (str): Put before every key. Defaults to ''.
        """
        self.check_nothing_left()
        state_dict = {prefix + key: value.contiguous() for key, value in self.weights.items()}
        meta = dict(converted_from=osp.basename(self.path), greenmim_mm=__version__)
        torch.save(dict(state_dict=state_dict, meta=meta), path)

    def report(self) -> str:
        """A Markdown table with a line per kind of tensor, numbers in names as ``*``."""
        groups: Dict[Row, int] = {}
        for row in self.rows:
            general = row._replace(
                old=re.sub(r'\.\d+\.', '.*.', row.old), new=re.sub(r'\.\d+\.', '.*.', row.new)
            )
            groups[general] = groups.get(general, 0) + 1
        lines = ['| what | number | from | to | shape |', '|---|---|---|---|---|']
        lines += [
            f'| {row.action} | {number} | {row.old} | {row.new} | {row.shape} |'
            for row, number in sorted(groups.items(), key=lambda item: item[0].action)
        ]
        return '\n'.join(lines)


def first_match(key: str, rules: Dict[str, str]) -> Optional[str]:
    """The key after the first rule (pattern of the whole key: replacement) that matches it."""
    for pattern, replacement in rules.items():
        if re.fullmatch(pattern, key):
            return re.sub(pattern, replacement, key)
    return None

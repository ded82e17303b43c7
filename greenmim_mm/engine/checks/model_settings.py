"""Names that a model's code looks up in ``test_cfg`` and ``train_cfg``, which have no signature."""

import ast
import inspect
import sys
from functools import cache
from types import FunctionType
from typing import FrozenSet, Iterator, Optional, Set

from .takers import taker


def read_by_models(model: dict, scope: Optional[str]) -> Set[str]:
    """Names that the modules of a model's classes may look up in a dict of settings.

    Args:
        model (dict): The ``model`` of a config.
        scope (str, optional): Default scope.

    Returns:
        Set[str]: Every text in the modules of the classes, of their parents and of the functions
        that they import, and every attribute of a variable with ``cfg`` in its name. Empty for
        models of MMPretrain, which hand their settings on, and where a class is not known.
    """
    modules = set()
    for kind in _classes(['model'], model, scope):
        if kind is None or kind.__module__.startswith('mmpretrain.models.classifiers'):
            return set()
        for parent in getattr(kind, '__mro__', (kind,)):
            if parent.__module__.split('.')[0] not in ('torch', 'builtins', 'abc'):
                modules.add(parent.__module__)
    for name in tuple(modules):
        package = name.split('.')[0]
        for value in vars(sys.modules[name]).values():
            if isinstance(value, FunctionType) and value.__module__.split('.')[0] == package:
                modules.add(value.__module__)
    return set().union(*map(_names_in, modules))


def _classes(path: list, node: object, scope: Optional[str]) -> Iterator[Optional[type]]:
    if isinstance(node, dict):
        scope = node.get('_scope_', scope)
        if node.get('type') is not None and path[-1] not in ('nms', 'roi_layer'):  # of mmcv.ops
            yield taker(path, node, node['type'], scope)
    elif not isinstance(node, (list, tuple)):
        return
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if not str(key).endswith('_cfg') or key in ('train_cfg', 'test_cfg'):
            yield from _classes([*path, str(key)], value, scope)


@cache
def _names_in(module: str) -> FrozenSet[str]:
    names = set()
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
        elif isinstance(node, ast.Attribute) and _of_a_config(node.value):
            names.add(node.attr)
    return frozenset(names)


def _of_a_config(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        if 'cfg' in node.attr:
            return True
        node = node.value
    return isinstance(node, ast.Name) and 'cfg' in node.id

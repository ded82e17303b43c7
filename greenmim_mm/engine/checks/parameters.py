"""Which names a class takes from a config: its own parameters and those of its parents."""

import ast
import inspect
import re
import textwrap
from functools import cache
from types import UnionType
from typing import (
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    Union,
    get_args,
    get_origin,
)

from torch import nn

_KNOWN = ('greenmim_mm', 'mmdet', 'mmengine', 'mmpretrain', 'mmseg', 'torch')
_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


class Parameters(NamedTuple):
    """What may be passed by keyword.

    Attributes:
        names (Dict[str, object]): Name -> annotation.
        others (bool): Whether any other name may be right, too.
    """

    names: Dict[str, object]
    others: bool = False


def named(names: Iterable[str]) -> Dict[str, object]:
    """Names without an annotation."""
    return dict.fromkeys(names, inspect.Parameter.empty)


@cache
def parameters(kind: Callable) -> Parameters:
    """Keyword arguments of a class or function, with their annotations.

    ``**kwargs`` that a constructor hands to its parent's are followed there, in the order of
    method resolution. Names that it takes out of ``kwargs`` itself count, too. Where they go
    anywhere else, any other name may be right.

    Args:
        kind (Callable): A class or a function.
    """
    names: Dict[str, object] = {}
    parents = kind.__mro__ if inspect.isclass(kind) else (kind,)
    for parent in parents:
        if parent in (object, nn.Module):  # they refuse every argument
            return Parameters(names)
        if inspect.isclass(kind) and '__init__' not in vars(parent):
            continue
        constructor = parent.__init__ if inspect.isclass(kind) else parent
        try:
            found = inspect.signature(constructor).parameters.values()
        except (TypeError, ValueError):
            return Parameters(names, others=True)
        for parameter in found:
            if parameter.kind not in _VARIADIC and parameter.name != 'self':
                names.setdefault(parameter.name, parameter.annotation)
        variadic = [p.name for p in found if p.kind == inspect.Parameter.VAR_KEYWORD]
        if not variadic:
            return Parameters(names)
        taken, goes_on = _use_of(parent, constructor, variadic[0])
        names = {**named(taken), **names}
        if goes_on != 'to the parent':
            return Parameters(names, others=goes_on == 'elsewhere')
    return Parameters(names, others=True)


def _use_of(parent: Callable, constructor: Callable, kwargs: str) -> Tuple[List[str], str]:
    """Names that a constructor takes out of its ``**kwargs``, and where the others go.

    Returns:
        Tuple[List[str], str]: The names, and ``'to the parent'``, ``'nowhere'`` or ``'elsewhere'``,
        which is also for sources that are not there.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, TypeError, SyntaxError):
        return [], 'elsewhere'

    def is_kwargs(node) -> bool:
        return isinstance(node, ast.Name) and node.id == kwargs

    taken, goes_on, understood = [], 'nowhere', 0
    for node in ast.walk(tree):
        name = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == '__init__' and any(
                word.arg is None and is_kwargs(word.value) for word in node.keywords
            ):
                # super(Other, self).__init__ leaves classes out
                of = getattr(node.func.value, 'args', None) or [ast.Name(parent.__name__)]
                own = isinstance(of[0], ast.Name) and of[0].id == parent.__name__
                goes_on, understood = 'to the parent', understood + own
            elif node.func.attr in ('pop', 'get', 'setdefault') and is_kwargs(node.func.value):
                name, understood = node.args[0], understood + 1
        elif isinstance(node, ast.Compare) and any(map(is_kwargs, node.comparators)):
            name, understood = node.left, understood + 1
        elif isinstance(node, ast.Subscript) and is_kwargs(node.value):
            name, understood = node.slice, understood + 1
        if isinstance(name, ast.Constant):
            taken.append(name.value)
    uses = sum(is_kwargs(node) for node in ast.walk(tree))
    return taken, goes_on if understood == uses else 'elsewhere'


def strings_in(kind: type, whole_modules: bool = False) -> Set[str]:
    """Every string in the source of a class and its parents: names it may look up in a dict.

    Args:
        kind (type): The class.
        whole_modules (bool): Count the rest of their modules, too. Defaults to False.
    """
    parents = [parent for parent in getattr(kind, '__mro__', ()) if parent is not object]
    places = [inspect.getmodule(parent) if whole_modules else parent for parent in parents]
    return {string for place in places if place is not None for string in _strings(place)}


@cache
def _strings(place: object) -> FrozenSet[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(place)))
    except (OSError, TypeError, SyntaxError):
        return frozenset()
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


def keys_read(kind: type, name: str) -> Set[str]:
    """Keys that a class or a parent of it looks up in a dict of the given name.

    Of classes of other packages, which may look them up in any way, every string counts.

    Args:
        kind (type): The class, or None.
        name (str): Name of the variable or attribute.
    """
    parents = [parent for parent in getattr(kind, '__mro__', ()) if parent is not object]
    found = [
        _keys_read(parent, name) if parent.__module__.split('.')[0] in _KNOWN else _strings(parent)
        for parent in parents
    ]
    return set().union(*found)


@cache
def _keys_read(place: object, name: str) -> FrozenSet[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(place)))
    except (OSError, TypeError, SyntaxError):
        return frozenset()
    keys = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in ('get', 'pop', 'setdefault'):
                keys.append((node.func.value, node.args[0]))
        elif isinstance(node, ast.Subscript):
            keys.append((node.value, node.slice))
        elif isinstance(node, ast.Compare):
            keys += [(of, node.left) for of in node.comparators]
    return frozenset(
        key.value
        for of, key in keys
        if name in (getattr(of, 'id', None), getattr(of, 'attr', None))
        and isinstance(key, ast.Constant)
        and isinstance(key.value, str)
    )


def unfit_text(value: object, annotation: object, current: object = None) -> Optional[str]:
    """What an option takes instead of the text that it was given, or None where the text fits.

    ``no``, ``off``, ``yes`` and ``on`` are texts, and every text counts as True: they pass only
    where a text is known to be right.

    Args:
        value (object): Of the option.
        annotation (object): Of the parameter.
        current (object): Value of the config. Defaults to None.

    Example:
        >>> unfit_text('a', Optional[float]), unfit_text('no', bool), unfit_text('a', str)
        ('a number', 'True or False', None)
    """
    if not isinstance(value, str) or isinstance(current, str):  # annotations may be wrong
        return None
    kinds = _kinds(annotation)
    if kinds and kinds <= {'int', 'float', 'bool', 'Tensor'}:
        return 'True or False' if kinds == {'bool'} else 'a number'
    if kinds & {'str', 'Any', 'Literal', 'PathLike'}:
        return None
    if value.lower() in ('yes', 'no', 'on', 'off'):
        return 'True or False'
    number = isinstance(current, (int, float)) and not isinstance(current, bool)
    return 'a number' if number and re.match(r'[-+]?\.?\d', value) else None


def _kinds(annotation: object) -> Set[str]:
    """Names of the types that an annotation allows, without None."""
    if isinstance(annotation, str):  # of modules that postpone their evaluation
        return set(re.findall(r'\w+', annotation)) - {'Optional', 'Union', 'None', 'torch'}
    if annotation in (None, inspect.Parameter.empty):
        return set()
    several = get_origin(annotation) in (Union, UnionType)
    options = get_args(annotation) if several else [annotation]
    return {getattr(kind, '__name__', str(kind)) for kind in options if kind is not type(None)}

"""Options of ``--cfg-options`` that would change nothing, or not what was meant."""

from difflib import get_close_matches
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from mmengine.config import Config

from .finding import Finding
from .parameters import strings_in, takes_numbers_only
from .takers import DEFAULT_HOOKS, FREE, READ, names_for, taker

_OVERRIDDEN = {
    'launcher': 'the option --launcher sets it',
    'custom_imports': 'it is read with the config file, before --cfg-options: set it in a file',
}
_SHOWN = 4  # places where a value is used
_HIDDEN = ('type', '_delete_', '_scope_', 'args', 'runner', 'dataloader', 'optimizer', 'params')
_STRICT = 0.85  # similarity of a misspelt name to a known one, where others are possible, too


def check_options(cfg: Config, options: Dict[str, object]) -> List[Finding]:
    """Find options that reach nothing.

    An option is right if its key stands in the config below a key that a run reads, or if it is a
    parameter of the class that the config names there (or of mmengine's runner). Where neither can
    be known (dicts of free form, classes that take any argument), it is right as well, unless it
    is a near miss of a key that stands beside it.

    Args:
        cfg (Config): As read from the file, before the options are merged.
        options (Dict[str, object]): Dotted key -> value.

    Returns:
        List[Finding]: One error per option, with the nearest known name, or with the keys that are
        read where the option names a variable of the config file.
    """
    walk = _Walk(cfg, options)
    messages = (walk.problem(key.split('.'), value) for key, value in options.items())
    return [
        Finding('error', f'--cfg-options {key}: {message}')
        for key, message in zip(options, messages)
        if message
    ]


def imports_code_of_others(cfg: Config) -> bool:
    """Whether the config imports modules that may read any key of it."""
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    names = [imports] if isinstance(imports, str) else imports
    ours = ('greenmim_mm', 'mmdet', 'mmpretrain', 'mmseg', 'mmcv', 'mmengine')
    return any(str(name).split('.')[0] not in ours for name in names)


class _Walk:
    """Follows the keys of options through a config.

    Args:
        cfg (Config): The config.
        options (Dict[str, object]): All options: one may set the ``type`` that another belongs to.
    """

    def __init__(self, cfg: Config, options: Dict[str, object]) -> None:
        self.cfg = cfg
        self.options = options

    def problem(self, parts: List[str], value: object) -> Optional[str]:
        """What is wrong with an option, or None."""
        first = parts[0]
        if first in _OVERRIDDEN:
            return _OVERRIDDEN[first]
        if first not in READ:
            return self._unread(parts)
        # the config may leave out what the runner takes
        node, scope = self.cfg.get(first, {}), self.cfg.get('default_scope')
        for i, part in enumerate(parts[1:], 1):
            path = parts[:i]
            where = '.'.join(path)
            if isinstance(node, (list, tuple)):
                if not part.isdigit() or int(part) >= len(node):
                    return (
                        f'{where} is a list of {len(node)} entries, numbered from 0; '
                        f'got {part!r} for the number'
                    )
                node = node[int(part)]
            elif not isinstance(node, dict):
                return f'{where} is {node!r} in the config, which has no {part!r}' + (
                    f'; set {where} itself, or write the dict into a config file'
                )
            else:
                scope = node.get('_scope_', scope)
                problem, stands = self._in_dict(path, node, scope, parts[i:], value)
                if problem:
                    return problem
                node = node[part] if stands else {}
        return None

    def _in_dict(
        self, path: List[str], node: dict, scope: Optional[str], rest: List[str], value: object
    ) -> Tuple[Optional[str], bool]:
        """What is wrong with the next key, and whether it stands in the dict."""
        part, where = rest[0], '.'.join(path)
        stands = part in node
        if path == ['default_hooks']:
            return self._hook(node, rest), stands
        kind = self._kind(path, node)
        names, others = names_for(path, node, kind, scope)
        who = getattr(taker(path, node, kind, scope), '__name__', where)
        if stands or part in names:
            if len(rest) == 1 and isinstance(value, str) and takes_numbers_only(names.get(part)):
                return f'{who} takes a number for {part}, got {value!r}', stands
            return None, stands
        known = [name for name in {**names, **node} if name not in _HIDDEN]
        if others or self._read_by_a_parent(path, scope, part):
            close = [] if path[-1] in FREE else typos(part, known)
            return _did_you_mean(
                f'{where} has no {part!r}', path, close, rest
            ) if close else None, False
        close = get_close_matches(part, known, n=1)
        text = f'{who} takes no {part!r}'
        if not close:
            text += f'; it takes {", ".join(sorted(known))}'
        return _did_you_mean(text, path, close, rest), False

    def _kind(self, path: List[str], node: dict) -> object:
        """The ``type`` of a dict, as it will be with all options."""
        if path[-1] == 'paramwise_cfg':
            path, node = path[:-1], self.cfg.get('optim_wrapper') or {}
            return self.options.get('.'.join([*path, 'constructor']), node.get('constructor'))
        return self.options.get('.'.join([*path, 'type']), node.get('type'))

    def _read_by_a_parent(self, path: List[str], scope: Optional[str], name: str) -> bool:
        """Whether a class above takes the name out of the dict before it hands the dict on."""
        node = self.cfg
        for i, part in enumerate(path[:-1], 1):
            node = node[int(part)] if isinstance(node, (list, tuple)) else node[part]
            kind = isinstance(node, dict) and taker(
                path[:i], node, self._kind(path[:i], node), scope
            )
            if kind and name in strings_in(kind, whole_modules=True):
                return True
        return False

    def _hook(self, node: dict, rest: List[str]) -> Optional[str]:
        """A new entry of ``default_hooks`` needs a ``type``."""
        name = rest[0]
        if name in node or (len(rest) == 1 and name in DEFAULT_HOOKS):
            return None
        if f'default_hooks.{name}.type' in self.options:
            return None
        close = get_close_matches(name, [*node, *DEFAULT_HOOKS], n=1)
        text = f'default_hooks has no {name!r} in the config, and a new hook needs a type'
        return _did_you_mean(text, ['default_hooks'], close, rest)

    def _unread(self, parts: List[str]) -> Optional[str]:
        """A top-level key that nothing reads: a variable of the config file, or a wrong name."""
        first, rest = parts[0], parts[1:]
        if first in self.cfg:
            used = list(self._uses(first, rest))
            if used:
                more = f' and {len(used) - _SHOWN} more' * (len(used) > _SHOWN)
                keys = ', '.join(used[:_SHOWN]) + more
                return f'{first} is a variable of the config file, which a run does not read. ' + (
                    f'What was made from it is read here: {keys}'
                )
            if imports_code_of_others(self.cfg):
                return None
            return f'{first} is a variable of the config file, which a run does not read'
        close = get_close_matches(first, [*READ, *self.cfg], n=1)
        if not close and imports_code_of_others(self.cfg):
            return None
        return _did_you_mean(f'nothing reads {first!r}', [], close, parts)

    def _uses(self, name: str, rest: List[str]) -> Iterator[str]:
        """Keys below which a run reads the value of a variable; those of the same name first."""
        value = self.cfg[name]
        found = [
            path
            for top in self.cfg
            if top in READ
            for path, other in _nodes([top], self.cfg[top])
            if _made_from(value, other, path[-1] == name)
        ]
        for path in sorted(found, key=lambda path: path[-1] != name):
            if self.problem([*path, *rest], None) is None:
                yield '.'.join([*path, *rest])


def _nodes(path: List[str], node: object) -> Iterator[Tuple[List[str], object]]:
    """Every value in a config with its keys."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _nodes([*path, str(key)], value)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _nodes([*path, str(i)], value)


def _without_scopes(node: object) -> object:
    """A value without the ``_scope_`` that mmengine adds to what comes from another package."""
    if isinstance(node, dict):
        return {k: _without_scopes(value) for k, value in node.items() if k != '_scope_'}
    if isinstance(node, (list, tuple)):
        return [_without_scopes(value) for value in node]
    return node


def _made_from(value: object, other: object, same_name: bool) -> bool:
    """Whether a value of the config comes from a variable; equal small numbers say little."""
    value, other = _without_scopes(value), _without_scopes(other)
    if isinstance(value, str) and len(value) > 3 and isinstance(other, str):
        return other.startswith(value)  # data_root + 'annotations/...'
    telling = not isinstance(value, (bool, type(None))) and value not in (0, 1, '', [], {})
    return type(value) is type(other) and value == other and (telling or same_name)


def typos(name: str, known: Iterable[str], cutoff: float = _STRICT) -> List[str]:
    """The known name that ``name`` is most likely meant to be, if any; strict.

    Args:
        name (str): A name that is not known.
        known (Iterable[str]): Names that are.
        cutoff (float): Similarity from which a name counts, of difflib. Defaults to 0.85.
    """
    swapped = [other for other in known if name != other and sorted(name) == sorted(other)]
    return swapped[:1] or get_close_matches(name, known, n=1, cutoff=cutoff)


def _did_you_mean(text: str, path: List[str], close: List[str], rest: List[str]) -> str:
    """The text, with the whole key of the nearest name where there is one."""
    return f'{text}; did you mean {".".join([*path, close[0], *rest[1:]])}?' if close else text

"""Options of ``--cfg-options`` that would change nothing, or not what was meant."""

from difflib import get_close_matches
from typing import Dict, List, Optional, Set, Tuple

from mmengine.config import Config
from mmengine.runner import Runner

from .finding import Finding
from .meant import OLD, ending_with, like, made_from, typos
from .model_settings import read_by_models
from .parameters import keys_read, named, parameters, strings_in, unfit_text
from .takers import DEFAULT_HOOKS, FREE, READ, names_for, taker

_OVERRIDDEN = {
    'launcher': 'the option --launcher sets it',
    'custom_imports': 'it is read with the config file, before --cfg-options: set it in a file',
}
_EVALUATORS = ('val_evaluator', 'test_evaluator')
_LOOPS = {
    'max_iters': 'IterBasedTrainLoop',
    'max_epochs': 'EpochBasedTrainLoop',
    'by_epoch': 'any',  # instead of a type
}
_SHOWN = 4  # places where a value is used
_HIDDEN = ('type', '_delete_', '_scope_', 'args', 'runner', 'dataloader', 'optimizer', 'params')


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
            return self._unread(parts, value)
        if len(parts) == 1:
            wanted = unfit_text(value, parameters(Runner).names.get(first), self.cfg.get(first))
            return f'a run takes {wanted} for {first}, got {value!r}' if wanted else None
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
        if path == ['train_cfg']:
            by_epoch = self.options.get('train_cfg.by_epoch', node.get('by_epoch', True))
            node = {**node, 'by_epoch': by_epoch}
        kind = self._kind(path, node)
        loop = _LOOPS.get(part) if path == ['train_cfg'] and kind is not None else None
        if loop == 'any' or (loop and kind in _LOOPS.values() and loop != kind):
            return f'{kind} takes no {part!r}; another loop is train_cfg._delete_=True ' + (
                'train_cfg.type=IterBasedTrainLoop train_cfg.max_iters=N, or EpochBasedTrainLoop '
                'with train_cfg.max_epochs=N'
            ), stands
        if kind is None and part != 'type' and (path[-1] == 'init_cfg' or where in _EVALUATORS):
            return f'{where} has no type in the config, and a new one needs {where}.type', stands
        names, others = names_for(path, node, kind, scope)
        known = [name for name in {**names, **node} if name not in _HIDDEN]
        if others and kind is None and (read := self._read_without_type(path, scope)):
            names, others = {**names, **named(read)}, False
        who = getattr(taker(path, node, kind, scope), '__name__', where)
        if stands or part in names:
            wanted = len(rest) == 1 and unfit_text(value, names.get(part), node.get(part))
            if wanted and path[-1] not in FREE:
                return f'{who} takes {wanted} for {part}, got {value!r}', stands
            return None, stands
        if others or self._read_by_a_parent(path, scope, part):
            close = [] if path[-1] in FREE else typos(part, known)
            if path[-1] == 'metainfo' and part not in (
                'classes',
                'palette',
            ):  # any other name may be somebody's own
                close = typos(part.lower(), ('classes', 'palette'), cutoff=0.8)
            text = f'{where} has no {part!r}'
            return self._did_you_mean(text, path, close, rest, value) if close else None, False
        if path[-1] == 'paramwise_cfg' and part in ('lr_mult', 'decay_mult'):
            return f'{where} takes no {part!r}; it belongs below {where}.custom_keys.NAME', False
        close = like(part, known, node)
        text = f'{who} takes no {part!r}'
        meant = self._did_you_mean(text, path, close, rest, value)
        if meant == text and known:
            meant += f'; it takes {", ".join(sorted(known))}'
        return meant, False

    def _kind(self, path: List[str], node: dict) -> object:
        """The ``type`` of a dict, as it will be with all options."""
        if path[-1] == 'paramwise_cfg':
            path, node = path[:-1], self.cfg.get('optim_wrapper') or {}
            return self.options.get('.'.join([*path, 'constructor']), node.get('constructor'))
        return self.options.get('.'.join([*path, 'type']), node.get('type'))

    def _read_without_type(self, path: List[str], scope: Optional[str]) -> Set[str]:
        """Names that the code around looks up in a dict that is no class's; none if unknown."""
        if path[-1] == 'filter_cfg':
            node = self.cfg
            for part in path[:-1]:
                node = node[int(part)] if isinstance(node, (list, tuple)) else node.get(part, {})
            scope = node.get('_scope_', scope)
            kind = taker(path[:-1], node, self._kind(path[:-1], node), scope)
            return keys_read(kind, 'filter_cfg')
        if path[:2] in (['model', 'train_cfg'], ['model', 'test_cfg']):
            return read_by_models(self.cfg.get('model') or {}, scope)
        return set()

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
        return self._did_you_mean(text, ['default_hooks'], close, rest, None)

    def _unread(self, parts: List[str], value: object) -> Optional[str]:
        """A top-level key that nothing reads: a variable of the config file, or a wrong name."""
        first, rest = parts[0], parts[1:]
        if first in self.cfg:
            used = self._uses(first, rest)
            if used:
                return f'{first} is a variable of the config file, which a run does not read. ' + (
                    f'A run reads these keys in its place: {_some(used)}'
                )
            if imports_code_of_others(self.cfg):
                return None
            return f'{first} is a variable of the config file, which a run does not read'
        text = f'nothing reads {first!r}'
        whole = [path for path in ending_with(self.cfg, parts) if self._fits(path, value)]
        if '.'.join(parts) in OLD:
            whole.insert(0, OLD['.'.join(parts)].split('.'))
        close = get_close_matches(first, [*READ, *self.cfg], n=3)
        if whole and not typos(first, READ):
            used = list(dict.fromkeys('.'.join(path) for path in whole))
            return f'{text}; did you mean {_some(used)}?'
        for name in close:
            if name not in READ and (used := self._uses(name, rest)):
                return f'{text}; did you mean {_some(used)}?'
        if not close and imports_code_of_others(self.cfg):
            return None
        return self._did_you_mean(text, [], close, parts, value)

    def _uses(self, name: str, rest: List[str]) -> List[str]:
        """Keys below which a run reads the value of a variable; those of the same name first."""
        paths = ([*path, *rest] for path in made_from(self.cfg, name))
        return ['.'.join(path) for path in paths if self.problem(path, None) is None]

    def _fits(self, path: List[str], value: object) -> bool:
        """Whether a key may be set, and not to a plain value in place of a dict or a list."""
        if self.problem(path, None) is not None:
            return False
        node = self.cfg
        for part in path:
            if isinstance(node, (list, tuple)):
                node = node[int(part)]
            elif isinstance(node, dict):
                node = node.get(part)
        return not isinstance(node, (dict, list)) or value is None or isinstance(value, list)

    def _did_you_mean(
        self, text: str, path: List[str], close: List[str], rest: List[str], value: object
    ) -> str:
        """The text, with the whole key of the nearest name that would not be refused itself."""
        for name in close:
            whole = [*path, *name.split('.'), *rest[1:]]
            if self._fits(whole, value):
                return f'{text}; did you mean {".".join(whole)}?'
            again = self.problem(whole, None) or ''  # two names are wrong
            if '; did you mean ' in again:
                return f'{text}; did you mean {again.split("; did you mean ")[1]}'
        return text


def _some(keys: List[str]) -> str:
    more = f' and {len(keys) - _SHOWN} more' * (len(keys) > _SHOWN)
    return ', '.join(keys[:_SHOWN]) + more

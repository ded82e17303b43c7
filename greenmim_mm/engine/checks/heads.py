"""The heads of a model: how many classes they number."""

import inspect
from typing import Iterator, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import MODELS

from .class_names import config_line, indented, some
from .class_sources import Source, resolve
from .finding import Finding

# parts with a num_classes of their own: object or not, stuff, channels of another network
_OTHER_HEADS = ('rpn_head', 'semantic_head', 'backbone', 'data_preprocessor')


def heads(model: dict, scope: Optional[str], key: str = 'model') -> Iterator[Tuple[str, int]]:
    """Config keys of all heads that number classes, with their number."""
    for name, part in model.items():
        parts = part if isinstance(part, (list, tuple)) else [part]
        for i, inner in enumerate(parts):
            if not isinstance(inner, dict) or name in _OTHER_HEADS:
                continue
            where = f'{key}.{name}.{i}' if isinstance(part, (list, tuple)) else f'{key}.{name}'
            if inner.get('type') is not None and 'head' in name:
                number = inner.get('num_classes')
                if number is None:
                    number = _default(inner['type'], scope)
                if isinstance(number, int) and not inner.get('class_agnostic'):
                    yield f'{where}.num_classes', number
                if inner.get('num_things_classes') and not inner.get('num_stuff_classes'):
                    yield f'{where}.num_things_classes', inner['num_things_classes']
            yield from heads(inner, scope, where)


def _default(kind, scope: Optional[str]) -> Optional[int]:
    """``num_classes`` of a head whose config does not say it."""
    for base in getattr(resolve(MODELS, kind, scope), '__mro__', ()):
        if '__init__' in vars(base):
            parameter = inspect.signature(base.__init__).parameters.get('num_classes')
            if parameter is not None:
                return parameter.default if isinstance(parameter.default, int) else None
    return None


def check_heads(cfg: Config, source: Source) -> Iterator[Finding]:
    """Compare the heads with the classes of a data set."""
    if source.config.get('return_classes'):
        return  # detectors that are told their classes in words
    names = source.folders or source.declared
    numbers = list(heads(cfg.model, cfg.get('default_scope')))
    augments = (cfg.model.get('train_cfg') or {}).get('augments')
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    if augments and preprocessor.get('num_classes') is not None:  # one-hot labels are mixed
        key = (
            'model.data_preprocessor' if cfg.model.get('data_preprocessor') else 'data_preprocessor'
        )
        numbers.append((f'{key}.num_classes', preprocessor['num_classes']))
    wrong = [(key, number) for key, number in numbers if number != len(names)]
    if wrong:
        told = '\n'.join(f'{key} is {number}' for key, number in wrong)
        lines = [config_line(key, str(len(names))) for key, _ in wrong]
        yield Finding(
            'error',
            f'{source.key} has {len(names)} classes ({some(names)}), but\n{told}\n'
            f'Write:\n{indented(lines)}',
        )

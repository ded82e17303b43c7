"""The options of a class."""

import inspect
from typing import Set


def options_of(cls: type) -> Set[str]:
    """Parameters of a constructor, and of its parents as far as it hands arguments on."""
    names = set()
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        kinds = {p.kind for p in parameters}
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}:
            break
    return names - {'self'}

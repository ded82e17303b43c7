"""Lists of class names: how two of them differ, in words, and the lines that mend it."""

from difflib import get_close_matches
from typing import List, Sequence

SHOWN = 10  # names in a message


def some(names: Sequence[str]) -> str:
    """The first names, quoted."""
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(map(repr, names[:SHOWN])) + more


def difference(ours: Sequence[str], theirs: Sequence[str], our_name: str, their_name: str) -> str:
    """What only one of two lists has, or where their orders part; '' for equal lists."""
    if list(ours) == list(theirs):
        return ''
    lines = []
    only_ours = [name for name in ours if name not in theirs]
    only_theirs = [name for name in theirs if name not in ours]
    for name, only, others in ((our_name, only_ours, theirs), (their_name, only_theirs, ours)):
        if only:
            line = f'only in {name}: {some(only)}'
            near = [
                f'{word!r} is near {found[0]!r}'
                for word in only[:SHOWN]
                if (found := get_close_matches(str(word), list(map(str, others)), 1))
            ]
            lines.append(line + (f' ({", ".join(near)})' if near else ''))
    if not lines:
        place = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
        if place is None:
            return f'{our_name} has {len(ours)} names, {their_name} {len(theirs)}'
        lines.append(
            f'the same names in another order: number {place + 1} is {ours[place]!r} in '
            f'{our_name} and {theirs[place]!r} in {their_name}'
        )
    return '\n'.join(lines)


def config_line(key: str, value: str) -> str:
    """The line of a config that sets a dotted key."""
    *outer, last = key.split('.')
    text = f'{last}={value}'
    if any(part.isdigit() for part in outer):  # an entry of a list cannot be set alone
        return f'# in {".".join(outer)}:\n{text}'
    if not outer:
        return f'{last} = {value}'
    for part in reversed(outer[1:]):
        text = f'{part}=dict({text})'
    return f'{outer[0]} = dict({text})'


def indented(lines: List[str]) -> str:
    """Lines to write, set off from the message."""
    return '\n'.join('    ' + line for text in lines for line in text.splitlines())

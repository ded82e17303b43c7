"""How a checkpoint and a model differ, said in the terms of a person first."""

import re
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

Shape = Tuple[int, ...]
SHOWN = 10  # keys in a message

_STEM = re.compile(
    r'(^|\.)(patch_embeds?|stem|conv1|downsample_layers\.0)(\.\d+)*\.(\w+\.)*weight$'
)
_CLASSES = re.compile(
    r'(^|\.)(fc_cls|head\.fc|head\.layers\.head|conv_seg|conv_logits|\w+_cls|cls_score|fc)'
    r'(\.\d+)*\.weight$'
)
_BLOCK = re.compile(
    r'^(?:backbone\.)?(?:stages|layers|blocks)\.(\d+)(?:\.(?:blocks|layers))?(?:\.(\d+))?\.'
)


@dataclass
class Differences:
    """What keeps the weights of a checkpoint from fitting a model.

    Args:
        missing (List[str]): Keys of the model that the checkpoint lacks.
        unknown (List[str]): Keys of the checkpoint that the model lacks.
        shapes (Dict[str, Tuple[Shape, Shape]]): By key, the shape in the checkpoint and in the
            model, where they differ.
        checkpoint_keys, model_keys (Sequence[str]): All keys of both sides.
    """

    missing: List[str] = field(default_factory=list)
    unknown: List[str] = field(default_factory=list)
    shapes: Dict[str, Tuple[Shape, Shape]] = field(default_factory=dict)
    checkpoint_keys: Sequence[str] = ()
    model_keys: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unknown or self.shapes)

    def describe(self) -> str:
        """What differs in human terms, then at most ten keys."""
        said = list(self._in_words())
        return '\n'.join(([' '.join(said)] if said else []) + self._keys())

    def _in_words(self) -> Iterator[str]:
        if self.missing and not set(self.checkpoint_keys) & set(self.model_keys):
            yield 'The checkpoint and the model have no key in common.'
            return
        yield from self._of_shapes()
        theirs, ours = _depths(self.checkpoint_keys), _depths(self.model_keys)
        if theirs and ours and theirs != ours:
            yield (
                f'The checkpoint has {"-".join(map(str, theirs))} blocks, the model '
                f'{"-".join(map(str, ours))}: another config?'
            )
        lacks, extra = (
            _whole_parts(some, every, other)
            for some, every, other in (
                (self.missing, self.model_keys, self.checkpoint_keys),
                (self.unknown, self.checkpoint_keys, self.model_keys),
            )
        )
        if lacks:
            yield f'The checkpoint has no {", ".join(lacks)}.'
        if extra:
            yield f'It has {", ".join(extra)}, which the model lacks.'
        if any(key.startswith('neck.decoder') or key == 'neck.mask_token' for key in self.unknown):
            yield 'It is a checkpoint of pre-training: --pretrained starts the backbone from it.'

    def _of_shapes(self) -> Iterator[str]:
        seen = set()
        for key, (theirs, ours) in self.shapes.items():
            sentence = _explain_shape(key, theirs, ours)
            if sentence and sentence not in seen:
                seen.add(sentence)
                yield sentence

    def _keys(self) -> List[str]:
        shapes = [
            f'{key} (checkpoint {theirs}, model {ours})'
            for key, (theirs, ours) in self.shapes.items()
        ]
        kinds = {
            'shapes differ': shapes,
            'keys of the model are missing in the checkpoint': self.missing,
            'keys of the checkpoint are unknown to the model': self.unknown,
        }
        kinds = {what: keys for what, keys in kinds.items() if keys}
        lines = []
        for what, keys in kinds.items():
            shown = keys[: SHOWN // len(kinds)]
            more = ', ...' if len(keys) > len(shown) else ''
            lines.append(f'{len(keys)} {what}: {", ".join(shown)}{more}')
        return lines


def compare_shapes(checkpoint: Mapping[str, Shape], model: Mapping[str, Shape]) -> Differences:
    """Differences of two tables from key to shape."""
    return Differences(
        missing=[key for key in model if key not in checkpoint],
        unknown=[key for key in checkpoint if key not in model],
        shapes={
            key: (tuple(checkpoint[key]), tuple(model[key]))
            for key in model
            if key in checkpoint and tuple(checkpoint[key]) != tuple(model[key])
        },
        checkpoint_keys=list(checkpoint),
        model_keys=list(model),
    )


def _explain_shape(key: str, theirs: Shape, ours: Shape) -> str:
    if len(theirs) != len(ours):
        return ''
    if key.endswith('relative_position_bias_table') and theirs[1:] == ours[1:]:
        windows = [(round(shape[0] ** 0.5) + 1) // 2 for shape in (theirs, ours)]
        return f'The checkpoint has windows of {windows[0]}, the model of {windows[1]}.'
    if _STEM.search(key) and len(theirs) == 4:
        for axis, what in ((1, 'colour channels'), (2, 'pixels per patch'), (0, 'width')):
            if theirs[axis] != ours[axis]:
                return (
                    f'The checkpoint has {what} {theirs[axis]}, the model {ours[axis]}: '
                    'another config?'
                    if what == 'width'
                    else f'The checkpoint has {theirs[axis]} {what}, the model {ours[axis]}.'
                )
    if _CLASSES.search(key) and theirs[1:] == ours[1:]:
        background = int(key.endswith('fc_cls.weight'))  # of detectors with two stages
        return (
            f'The checkpoint has {theirs[0] - background} classes, the model '
            f'{ours[0] - background}.'
        )
    if key.endswith('mask_token') and key.split('.')[0] == 'neck':
        return f'The decoder of the checkpoint has width {theirs[-1]}, the model {ours[-1]}.'
    return ''


def _depths(keys: Sequence[str]) -> List[int]:
    """Blocks per stage, or one number for a plain transformer."""
    blocks: Dict[int, set] = {}
    for key in keys:
        match = _BLOCK.match(key)
        if match and match[2] is not None:
            blocks.setdefault(int(match[1]), set()).add(match[2])
        elif match:
            blocks.setdefault(-1, set()).add(match[1])
    if len(blocks) > 1:
        blocks.pop(-1, None)
    return [len(blocks[stage]) for stage in sorted(blocks)]


def _whole_parts(some: Sequence[str], every: Sequence[str], other: Sequence[str]) -> List[str]:
    """First parts of keys that are there on one side only, as ``part.*``."""
    first = [key.split('.')[0] for key in some if '.' in key]
    there = {key.split('.')[0] for key in other}
    return [f'{part}.*' for part in dict.fromkeys(first) if part not in there]

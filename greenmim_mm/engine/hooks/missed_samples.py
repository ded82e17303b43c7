"""Samples that a pipeline gives nothing for: unreadable, or left out by a transform."""

from typing import Iterator, List, Optional

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import all_reduce
from torch import Tensor

from ...datasets.sources import printable
from ..checks import CheckError

NAMED_AT_ONCE = 10


class MissedSamples:
    """Stands for ``prepare_data`` of a dataset and counts where it returns None.

    The dataset then draws another sample (``BaseDataset.__getitem__``). The counts lie in
    shared memory, so that those of all loading workers add up.

    Args:
        dataset (BaseDataset): Its method ``prepare_data`` is replaced until :meth:`remove`.
    """

    def __init__(self, dataset: BaseDataset) -> None:
        self.dataset = dataset
        self.times = torch.zeros(len(dataset), dtype=torch.int32).share_memory_()
        self.in_a_row = 0
        dataset.prepare_data = self

    def __call__(self, idx: int) -> Optional[dict]:
        data = type(self.dataset).prepare_data(self.dataset, idx)
        if data is not None:
            self.in_a_row = 0
            return data
        self.times[idx] += 1
        self.in_a_row += 1
        if self.in_a_row > self.dataset.max_refetch:
            raise CheckError(
                f'no sample for a batch: {self.in_a_row:,} draws from '
                f'{len(self.dataset):,} pictures, one after the other, and each was unreadable '
                'or left out by the pipeline, '
                f'the last {self.name(idx)}. Mend the data set or the pipeline.'
            )
        return None

    def name(self, idx: int) -> str:
        """Path of a picture for a message, or its number where the dataset knows none."""
        return printable(self._path(idx) or f'sample {idx}')

    def _path(self, idx: int) -> Optional[str]:
        return self.dataset.get_data_info(int(idx)).get('img_path')

    def named_by_loader(self, idx: int) -> bool:
        """Whether a transform has named the picture in the log already, with its reason."""
        transforms = getattr(self.dataset.pipeline, 'transforms', [])
        path = self._path(idx)
        return path is not None and any(
            transform.has_named(path) for transform in transforms if hasattr(transform, 'has_named')
        )

    def remove(self) -> None:
        """Give the dataset its own method back."""
        self.dataset.__dict__.pop('prepare_data', None)


def leaf_datasets(dataset) -> Iterator[BaseDataset]:
    """The datasets that read pictures, inside wrappers too; each once."""
    waiting, seen = [dataset], set()
    while waiting:
        part = waiting.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, BaseDataset):
            yield part
            continue
        inside = vars(part) if hasattr(part, '__dict__') else {}
        waiting += [inside[name] for name in ('dataset', '_dataset') if name in inside]
        waiting += inside.get('datasets', [])


class MissedReport:
    """What was missed in a run, over all workers and processes: each picture is named once.

    Those that ``LoadImage`` has named in the log of the first process are not named again.
    """

    def __init__(self, dataset) -> None:
        self.parts = [MissedSamples(part) for part in leaf_datasets(dataset) if not part.test_mode]
        self.named = [torch.zeros_like(part.times, dtype=torch.bool) for part in self.parts]

    def _totals(self) -> List[Tensor]:
        totals = [part.times.clone() for part in self.parts]
        for total in totals:
            all_reduce(total)
        return totals

    def new(self) -> Optional[str]:
        """A line if pictures were missed that no line told of before. All processes call it."""
        totals = self._totals()
        any_new, names = False, []
        for part, total, named in zip(self.parts, totals, self.named):
            fresh = (total > 0) & ~named
            named |= fresh
            any_new |= bool(fresh.any())
            names += [
                part.name(idx)
                for idx in fresh.nonzero().flatten().tolist()
                if not part.named_by_loader(idx)
            ]
        if not any_new:
            return None
        if not names:
            return self._sum(totals)
        more = f' and {len(names) - NAMED_AT_ONCE:,} more' if len(names) > NAMED_AT_ONCE else ''
        return f'{self._sum(totals)}. New: {", ".join(names[:NAMED_AT_ONCE])}{more}'

    def total(self) -> Optional[str]:
        """A line about the whole run, if anything was missed. All processes call it."""
        totals = self._totals()
        return self._sum(totals) if any(total.any() for total in totals) else None

    @staticmethod
    def _sum(totals: List[Tensor]) -> str:
        missed = sum(int((total > 0).sum()) for total in totals)
        number = sum(len(total) for total in totals)
        times = sum(int(total.sum()) for total in totals)
        return (
            f'{missed:,} of {number:,} pictures could not be used (unreadable, or left out by the '
            f'pipeline); {times:,} replacements were drawn'
        )

    def remove(self) -> None:
        """Give all datasets their own methods back."""
        for part in self.parts:
            part.remove()

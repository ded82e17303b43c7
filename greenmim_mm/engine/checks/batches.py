"""A training loader that yields no batch."""

from typing import List

from mmengine.dist import get_world_size
from torch.utils.data import DataLoader, IterableDataset

from .finding import Finding

NO_SAMPLE = (
    '{key}: the data set holds no sample, or its filter (filter_cfg, indices) left none. Look at '
    'the annotation file and at {key}.dataset.filter_cfg'
)


def check_batches(loader: DataLoader, key: str = 'train_dataloader') -> List[Finding]:
    """Compare the number of samples with the size of a batch.

    Args:
        loader (DataLoader): As the run uses it: on N processes, that of one of them.
        key (str): Its key in the config, for the message. Defaults to 'train_dataloader'.

    Returns:
        List[Finding]: An error if an epoch has no batch at all: the numbers, and what to change.
    """
    if isinstance(loader.dataset, IterableDataset):
        return []  # its length is not known
    number = len(loader.dataset)
    if number == 0:
        return [Finding('error', NO_SAMPLE.format(key=key))]
    samplers = (loader.sampler, loader.batch_sampler)
    if any('Infinite' in type(sampler).__name__ for sampler in samplers) or len(loader):
        return []  # infinite samplers of mmengine and mmdet fill a batch from several rounds
    batch = getattr(loader.batch_sampler, 'batch_size', loader.batch_size)
    share, processes = len(loader.sampler), get_world_size()
    each = f' on {processes} processes, {share:,} for each' if processes > 1 else ''
    return [
        Finding(
            'error',
            f'{key} yields no batch: {number:,} samples{each}, batch_size={batch}, and drop_last '
            f'leaves out a batch that is not full. Take a batch_size of at most {share:,} '
            f'(--cfg-options {key}.batch_size={share}), fewer processes, or {key}.drop_last=False',
        )
    ]

"""Randomness as a function of seed and progress, so that resuming is exact."""

import random
from typing import Optional, Sequence

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...registry import HOOKS
from ...sparsity.masking import Purpose, derive_seed
from ..checks import check_batches, enforce
from .missed_samples import MissedReport


def _seed_all(purpose: Purpose, *entropy: int) -> None:
    seed = derive_seed(purpose, *entropy)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class _SeededFetch:
    """Reads the samples of a batch and seeds the generators by epoch and index before each.

    It is set as ``__getitems__`` of the dataset that the loader sees: torch's ``DataLoader`` calls
    that for a whole batch where a dataset has it. So a sample is seeded once, whatever reads
    on inside: further pictures that are mixed in, or another one in the place of a broken one,
    get the draws that follow.
    """

    def __init__(self, dataset, seed: int, epoch: torch.Tensor) -> None:
        self.dataset = dataset
        self.seed = seed
        self.epoch = epoch  # in shared memory, so that living workers see it change

    def __call__(self, indices: Sequence[int]) -> list:
        samples = []
        for index in indices:
            _seed_all(Purpose.SAMPLE, self.seed, int(self.epoch), int(index))
            samples.append(self.dataset[index])
        return samples


@HOOKS.register_module()
class ReproducibilityHook(Hook):
    """Makes a run that was killed and resumed equal to one that was not.

    mmengine restores weights, optimizer, schedulers and the order of samples,
    but no generator state, and its data loading workers draw the same
    augmentations in every epoch unless they persist. With this hook

    - the augmentation of a sample depends on (seed, epoch, sample), whatever
      the number of workers. What mixes several pictures (copy-paste, mosaic) is one sample;
    - where a picture cannot be used (it is unreadable, or a transform returns None), another is
      drawn from the whole data set, anew in each attempt, as a function of the same three. After
      an epoch the log names new ones and says how many there are;
    - the order of the samples depends on (seed, epoch), so that no epoch of a seed
      has the order of another seed's (mmengine's sampler adds the two);
    - everything drawn in a training step (drop path, sampling of proposals)
      depends on (seed, rank, iteration).

    The augmentation part needs an epoch-based loop that visits an index once per epoch; elsewhere
    (``RepeatAugSampler``, iteration-based loops) the hook says so and leaves augmentation as it is.

    Raises:
        CheckError: At the start of training, if the loader yields no batch; later, if no picture
            of many can be used.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._missed: Optional[MissedReport] = None

    def before_train(self, runner: Runner) -> None:
        loader = runner.train_dataloader
        enforce(check_batches(loader))
        self._missed = MissedReport(loader.dataset)
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        repeats = type(loader.sampler).__name__ == 'RepeatAugSampler'
        if by_epoch and hasattr(loader.sampler, 'seed'):
            loader.sampler.seed = derive_seed(Purpose.ORDER, runner.seed)
        if by_epoch and not repeats and hasattr(loader.dataset, '__getitem__'):
            loader.dataset.__getitems__ = _SeededFetch(loader.dataset, runner.seed, self._epoch)
            return
        parts = (runner.train_loop, loader.dataset, loader.sampler)
        names = ', '.join(type(part).__name__ for part in parts)
        runner.logger.warning(
            f'ReproducibilityHook: augmentation does not resume exactly with {names}; '
            'weights, sample order and masks do.'
        )

    def before_train_epoch(self, runner: Runner) -> None:
        self._epoch.fill_(runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None
    ) -> None:
        _seed_all(Purpose.STEP, runner.seed, get_rank(), runner.iter)

    def after_train_epoch(self, runner: Runner) -> None:
        line = self._missed.new()
        if line:
            runner.logger.warning(line)

    def after_train(self, runner: Runner) -> None:
        line = self._missed.total()
        if line:
            runner.logger.warning(f'This run: {line}')
        self._missed.remove()
        vars(runner.train_dataloader.dataset).pop('__getitems__', None)

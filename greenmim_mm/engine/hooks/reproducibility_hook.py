"""Randomness as a function of seed and progress, so that resuming is exact."""

import random
from typing import Optional, Tuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from ...registry import HOOKS
from ...sparsity.masking import Purpose, derive_seed


def _seed_all(purpose: Purpose, *entropy: int) -> None:
    seed = derive_seed(purpose, *entropy)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class _SeededPipeline:
    """A dataset's pipeline that seeds the generators by epoch and sample first."""

    def __init__(self, pipeline, seed: Tuple[int, ...], epoch: torch.Tensor) -> None:
        self.pipeline = pipeline
        self.seed = seed  # of the run, and the number of the part in each concatenation
        self.epoch = epoch  # in shared memory, so that living workers see it change

    def __call__(self, data: dict) -> Optional[dict]:
        _seed_all(Purpose.SAMPLE, *self.seed, int(self.epoch), int(data.get('sample_idx', 0)))
        return self.pipeline(data)

    def __getattr__(self, name):
        if name == 'pipeline':  # not there yet while unpickling
            raise AttributeError(name)
        return getattr(self.pipeline, name)


@HOOKS.register_module()
class ReproducibilityHook(Hook):
    """Makes a run that was killed and resumed equal to one that was not.

    mmengine restores weights, optimizer, schedulers and the order of samples,
    but no generator state, and its data loading workers draw the same
    augmentations in every epoch unless they persist. With this hook

    - the augmentation of a sample depends on (seed, epoch, sample), whatever
      the number of workers;
    - the order of the samples depends on (seed, epoch), so that no epoch of a seed
      has the order of another seed's (mmengine's sampler adds the two);
    - everything drawn in a training step (drop path, sampling of proposals)
      depends on (seed, rank, iteration).

    The augmentation part needs an epoch-based loop and datasets that visit a
    sample once per epoch; elsewhere (``RepeatDataset``, ``RepeatAugSampler``,
    iteration-based loops) the hook says so and leaves augmentation as it is.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def before_train(self, runner: Runner) -> None:
        dataset, sampler = runner.train_dataloader.dataset, runner.train_dataloader.sampler
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        repeats = type(sampler).__name__ == 'RepeatAugSampler'
        if by_epoch and hasattr(sampler, 'seed'):
            sampler.seed = derive_seed(Purpose.ORDER, runner.seed)
        if by_epoch and not repeats and self._seed_dataset(dataset, (runner.seed,)):
            return
        parts = (type(part).__name__ for part in (runner.train_loop, dataset, sampler))
        runner.logger.warning(
            f'ReproducibilityHook: augmentation does not resume exactly with {", ".join(parts)}; '
            'weights, sample order and masks do.'
        )

    def _seed_dataset(self, dataset, seed: Tuple[int, ...]) -> bool:
        """Seed the pipeline of a dataset, looking into wrappers; False if it cannot."""
        if isinstance(dataset, ConcatDataset):
            # numbered, or samples of equal index would share their augmentation
            seeded = [self._seed_dataset(d, (*seed, i)) for i, d in enumerate(dataset.datasets)]
            return all(seeded)
        if isinstance(dataset, BaseDataset):
            if not isinstance(dataset.pipeline, _SeededPipeline):
                dataset.pipeline = _SeededPipeline(dataset.pipeline, seed, self._epoch)
            return True
        if type(dataset).__name__ == 'MultiImageMixDataset':
            return self._seed_dataset(dataset.dataset, seed)
        return False

    def before_train_epoch(self, runner: Runner) -> None:
        self._epoch.fill_(runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None
    ) -> None:
        _seed_all(Purpose.STEP, runner.seed, get_rank(), runner.iter)

"""mmengine's runner: data first, strict about weights, exact about resuming."""

import re
from typing import Callable, Optional, Union

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from ..compat.safe_load import check_state_dict
from ..datasets import PictureError
from ..models.utils import (
    check_loaded,
    check_prefixes,
    forget_pretrained,
    load_and_compare,
    record_loads,
)
from .checks import CheckError, check_batches, enforce
from .checks.batches import NO_SAMPLE
from .resume import check_resumable, follow_config
from .run_settings import hyperparameters, run_settings

_STRIP_WRAPPER = [(r'^module\.', '')]
# all that mmengine's BaseDataset says about a list of samples that is empty
_EMPTY = 'need at least one array to concatenate'


class StrictRunner(Runner):
    """A runner that never goes on with weights that were not loaded.

    ``load_from``, ``tools/test.py`` and every ``init_cfg=dict(type='Pretrained')``: all tensors
    must be found, with their shapes, or the run ends with a table of what differs. With
    ``partial_load = True`` in the config (``--partial``) what fits is taken, the rest is named.
    A test also compares the classes that the checkpoint was trained for with its own.
    """

    _resuming = False
    _resumed: Optional[dict] = None

    @property
    def bare_model(self) -> nn.Module:
        """The model without its wrapper (DDP)."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    @property
    def partial(self) -> bool:
        """Whether a checkpoint may fit in part."""
        return bool(self.cfg.get('partial_load', False))

    def _init_model_weights(self) -> None:
        model = self.bare_model
        if self._resume and self._load_from is not None:  # all of it comes from there
            forget_pretrained(model)
        check_prefixes(model)
        with record_loads() as record:
            super()._init_model_weights()
        check_loaded(model, record, self.partial)

    def load_checkpoint(
        self,
        filename: str,
        map_location: Union[str, Callable] = 'cpu',
        strict: bool = True,
        revise_keys: list = _STRIP_WRAPPER,
    ) -> dict:
        """Load all weights of the model from a file, or raise.

        Args:
            filename (str): Path or URL.
            map_location (str | Callable): Defaults to 'cpu'.
            strict (bool): False takes what fits; so does ``partial_load`` in the config.
                Defaults to True.
            revise_keys (list): Patterns and replacements for the keys. Defaults to stripping
                ``module.``.

        Raises:
            CheckError: If the weights do not fit the model, with what differs.
        """
        checkpoint = CheckpointLoader.load_checkpoint(filename, map_location, logger=self.logger)
        weights = checkpoint.get('state_dict', checkpoint)
        check_state_dict(weights, f'checkpoint {filename}')
        checkpoint = dict(checkpoint, state_dict=_revised(weights, revise_keys))
        if self._resuming:
            check_resumable(self, checkpoint, filename)
            self._resumed = checkpoint
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        differences = load_and_compare(self.bare_model, checkpoint['state_dict'])
        if differences and strict and not (self.partial or self._resuming):
            raise CheckError(
                f'{filename} does not fit the config. {differences.describe()}\n'
                '--partial takes what fits'
            )
        if strict and not self.partial:
            self._check_tested_classes(checkpoint, filename)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        if differences:
            self.logger.warning(f'{filename} fits in part. {differences.describe()}')
        return checkpoint

    def _check_tested_classes(self, checkpoint: dict, filename: str) -> None:
        """A test asks for the classes, in their order, that the model was trained for."""
        if not isinstance(self._test_loop, BaseLoop):
            return
        metainfo = getattr(self._test_loop.dataloader.dataset, 'metainfo', None) or {}
        trained = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
        tested = metainfo.get('classes')
        if trained and tested and list(trained) != list(tested):
            raise CheckError(
                f'{filename} was trained for the classes {", ".join(map(str, trained))}, in this '
                f'order; test_dataloader.dataset.metainfo.classes has '
                f'{", ".join(map(str, tested))}. --partial tests all the same'
            )


class TrainingRunner(StrictRunner):
    """A :class:`StrictRunner` that trains.

    - The training data is built before the model, once: what is wrong with it (none there, fewer
      samples than a batch, nothing left by a filter) ends the run before anything heavy is built.
    - ``resume``: the checkpoint must be of the same model and optimizer. The schedule is that of
      the config; where it is not that of the checkpoint, it is rebuilt at the place reached.
    - An old checkpoint is deleted after the new one is written.
    """

    def build_model(self, model) -> nn.Module:
        """As in the parent, after the training loader.

        Raises:
            CheckError: If the loader yields no batch.
        """
        self._first_loader = self._train_dataloader
        if isinstance(self._train_dataloader, dict):
            different = self._randomness_cfg.get('diff_rank_seed', False)
            try:
                self._first_loader = self.build_dataloader(
                    self._train_dataloader, seed=self.seed, diff_rank_seed=different
                )
            except PictureError as error:
                raise CheckError(str(error)) from error
            except ValueError as error:
                if _EMPTY not in str(error):
                    raise
                raise CheckError(NO_SAMPLE.format(key='train_dataloader')) from error
            enforce(check_batches(self._first_loader))
        return super().build_model(model)

    def build_train_loop(self, loop) -> BaseLoop:
        # only here: `scale_lr` reads the batch size from the config, which a loader with a
        # batch sampler does not know
        config, self._train_dataloader = self._train_dataloader, self._first_loader
        try:
            return super().build_train_loop(loop)
        finally:
            self._train_dataloader = config

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: Optional[dict] = None) -> None:
        """As in the parent; accumulated gradients count, which mmengine leaves out."""
        wrappers = [optim_wrapper]
        if isinstance(optim_wrapper, OptimWrapperDict):
            wrappers = list(optim_wrapper.values())
        counts = max(wrapper._accumulative_counts for wrapper in wrappers)
        scales = (auto_scale_lr or {}).get('enable') and 'base_batch_size' in auto_scale_lr
        if counts > 1 and scales:
            base = auto_scale_lr['base_batch_size']
            self.logger.info(
                f'A step of the optimizer sees {counts} batches (accumulative_counts): the base '
                f'batch of {base} is counted as {base / counts:g} per batch.'
            )
            auto_scale_lr = {**auto_scale_lr, 'base_batch_size': base / counts}
        super().scale_lr(optim_wrapper, auto_scale_lr)

    def register_hook(self, hook, priority=None) -> None:
        """As in the parent; ``CheckpointHook`` is the one that deletes after it has written."""
        if isinstance(hook, dict) and hook.get('type') == 'CheckpointHook':
            hook = dict(hook, type='greenmim_mm.CheckpointHook')
        super().register_hook(hook, priority)

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Union[str, Callable] = 'default',
    ) -> None:
        """Go on from a checkpoint of the same model, by the schedule of this config.

        Raises:
            CheckError: If model or optimizer of the checkpoint are not those of the config, or
                it is further than the config goes.
        """
        wanted = hyperparameters(self.optim_wrapper)
        seed = self._randomness_cfg.get('seed')
        self._resuming = True
        try:
            super().resume(filename, resume_optimizer, False, map_location)
        finally:
            self._resuming = False
        checkpoint, self._resumed = self._resumed, None
        if seed is not None:  # the parent takes that of the checkpoint
            self._randomness_cfg.update(seed=seed)
            self.set_randomness(**self._randomness_cfg)
        # the parent takes these from the log of the checkpoint
        self.message_hub.update_info('seed', self.seed)
        self.message_hub.update_info('cfg', self.cfg.pretty_text)
        if resume_param_scheduler:
            follow_config(self, checkpoint, wanted, seed)

    def save_checkpoint(self, *args, meta: Optional[dict] = None, **kwargs) -> None:
        """As in the parent, with what a later resume compares under ``meta['run']``."""
        super().save_checkpoint(*args, meta=dict(meta or {}, run=run_settings(self)), **kwargs)


def _revised(weights: dict, revise_keys: list) -> dict:
    """The weights under keys in which every pattern is replaced."""
    revised = type(weights)()
    for key, value in weights.items():
        for pattern, replacement in revise_keys:
            key = re.sub(pattern, replacement, key)
        revised[key] = value
    if hasattr(weights, '_metadata'):
        revised._metadata = weights._metadata
    return revised

"""Stop a run whose loss is no longer a number."""

import math
from typing import Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Raises on a loss that is NaN or infinite, before a checkpoint is written.

    It reads the loss that mmengine's ``RuntimeInfoHook`` has already copied to
    the CPU in this iteration, so it adds no synchronisation of its own.
    """

    priority = 'HIGH'  # behind RuntimeInfoHook, before LoggerHook and CheckpointHook

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        scalars = runner.message_hub.log_scalars
        losses = {
            name: float(scalars[f'train/{name}'].current())
            for name in outputs or {}
            if 'loss' in name and f'train/{name}' in scalars
        }
        bad = [f'{name}={value}' for name, value in losses.items() if not math.isfinite(value)]
        if not bad:
            return
        rates = ', '.join(f'{lr[0]:.3g}' for lr in runner.optim_wrapper.get_lr().values())
        last = runner.message_hub.get_info('last_ckpt', None)
        raise FloatingPointError(
            f'non-finite loss at iteration {runner.iter + 1} (epoch {runner.epoch + 1}): '
            f'{", ".join(bad)}; learning rate {rates}; last checkpoint: {last or "none yet"}. '
            'Resume from it with a smaller learning rate, gradient clipping '
            '(optim_wrapper.clip_grad), or without mixed precision.'
        )

"""Scaling the learning rate by the batch that a step of the optimizer sees."""

from typing import Optional

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner


def scale_by_true_batch(runner: Runner) -> None:
    """Let ``runner.scale_lr`` count accumulated gradients, which mmengine's own does not.

    mmengine's ``Runner.scale_lr`` takes processes x ``batch_size`` for the batch. With
    ``accumulative_counts=N`` a step of the optimizer sees N times as many images.

    Args:
        runner (Runner): Before its training starts; changed in place.
    """
    mmengine_scale_lr = runner.scale_lr

    def scale_lr(optim_wrapper: OptimWrapper, auto_scale_lr: Optional[dict] = None) -> None:
        wrappers = [optim_wrapper]
        if isinstance(optim_wrapper, OptimWrapperDict):
            wrappers = list(optim_wrapper.values())
        counts = max(wrapper._accumulative_counts for wrapper in wrappers)
        if (
            counts > 1
            and (auto_scale_lr or {}).get('enable')
            and 'base_batch_size' in auto_scale_lr
        ):
            base = auto_scale_lr['base_batch_size']
            runner.logger.info(
                f'A step of the optimizer sees {counts} batches (accumulative_counts): the base '
                f'batch of {base} is counted as {base / counts:g} per batch.'
            )
            auto_scale_lr = {**auto_scale_lr, 'base_batch_size': base / counts}
        mmengine_scale_lr(optim_wrapper, auto_scale_lr)

    runner.scale_lr = scale_lr

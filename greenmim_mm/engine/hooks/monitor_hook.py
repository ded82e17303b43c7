"""Speed, padding, planning and memory in the log; the cost of a run at its end."""

import contextlib
import resource
import sys
import time
import weakref
from datetime import timedelta
from typing import List, Optional

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.hooks import RemovableHandle

from ...registry import HOOKS
from ...sparsity import grouping
from ..checks import check_batches, enforce


def _peak_memory() -> float:
    """MiB: of the GPU's allocator, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)


class _PlanSums:
    """Slots, tokens and seconds of the group plans that a model makes in training.

    It listens only while the model runs forward; a forward that raises ends that, too, so that
    nothing listens after a run that failed.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.slots = self.tokens = 0
        self.seconds = 0.0

    def __call__(self, plan: grouping.GroupPlan, seconds: float) -> None:
        self.slots += plan.window_id.numel()
        self.tokens += plan.num_tokens
        self.seconds += seconds

    def listen_to(self, model: nn.Module) -> List[RemovableHandle]:
        return [
            model.register_forward_pre_hook(self._start),
            model.register_forward_hook(self._stop, always_call=True),
        ]

    def _start(self, model: nn.Module, args: tuple) -> None:
        if model.training:
            grouping.PLAN_OBSERVERS.append(self)

    def _stop(self, model: nn.Module, args: tuple, output) -> None:
        if self in grouping.PLAN_OBSERVERS:
            grouping.PLAN_OBSERVERS.remove(self)


def _stop_quietly(tracker) -> None:
    """For a run that failed: the tracker's thread ends with the hook."""
    with contextlib.suppress(Exception):
        tracker.stop()


@HOOKS.register_module()
class GreenMonitorHook(Hook):
    """What a run costs.

    Adds to the log line of training: ``images_per_second`` (all processes, loading included,
    since the line before), and for encoders with group window attention
    ``padding`` (share of the slots of all groups that hold no token) and ``planning_ms``
    (milliseconds a step for the plans); ``peak_memory`` in MiB. All are since the line before, or
    since the epoch began. At the end one line sums up: images
    seen, wall time, and the energy in kWh and kg CO2e if `codecarbon
    <https://codecarbon.io>`_ is installed: an estimate from the power that the processor, the
    memory and GPUs report (or their rating, where they report none), for the machine of the first
    process and all that runs on it, and the mean carbon intensity of a grid. The line says
    which. A missing sensor never stops a run.

    Args:
        energy (bool): Estimate energy where codecarbon is installed. Defaults to True.
        country (str, optional): Whose grid, as ISO 3166-1 alpha-3 (``'FRA'``). Without it
            codecarbon asks a web service where the machine is, and takes Canada's where there is
            no answer. Defaults to None.
    """

    priority = 'ABOVE_NORMAL'  # before LoggerHook writes its line

    def __init__(self, energy: bool = True, country: Optional[str] = None) -> None:
        self.energy = energy
        self.country = country
        self.tracker = None
        self.images = 0
        self._plans = _PlanSums()
        self._handles: List[RemovableHandle] = []

    def before_train(self, runner: Runner) -> None:
        enforce(check_batches(runner.train_dataloader))  # a run of 0 images is an error
        self._began = time.perf_counter()
        self._begin_line()
        self._handles = self._plans.listen_to(runner.model)
        if self.energy and is_main_process():
            self.tracker = self._start_tracker(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        self._begin_line()  # what was between two epochs (evaluation, checkpoint) is not training

    def _begin_line(self) -> None:
        self._line_began = time.perf_counter()
        self._line_images = self._line_steps = 0
        self._plans.clear()

    def _start_tracker(self, runner: Runner):
        try:
            from codecarbon import EmissionsTracker, OfflineEmissionsTracker
        except ImportError:
            return None
        try:
            options = dict(save_to_file=False, log_level='error')
            if self.country is None:
                tracker = EmissionsTracker(**options)
            else:
                tracker = OfflineEmissionsTracker(country_iso_code=self.country, **options)
            tracker.start()
        except Exception as error:  # whatever a sensor or its permissions raise
            runner.logger.warning(f'GreenMonitorHook: no estimate of energy: {error}')
            return None
        self._tracker_end = weakref.finalize(self, _stop_quietly, tracker)
        self._tracker_end.atexit = False  # threads of the tracker end with the process
        return tracker

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Optional[dict] = None,
        outputs: Optional[dict] = None,
    ) -> None:
        number = len((data_batch or {}).get('inputs', ())) * get_world_size()
        self.images += number
        self._line_images += number
        self._line_steps += 1
        seconds = time.perf_counter() - self._line_began
        values = dict(images_per_second=self._line_images / seconds, peak_memory=_peak_memory())
        if self._plans.slots:
            values['padding'] = 1 - self._plans.tokens / self._plans.slots
            values['planning_ms'] = 1e3 * self._plans.seconds / self._line_steps
        for name, value in values.items():
            runner.message_hub.update_scalar(f'train/{name}', value)
        if self.every_n_inner_iters(batch_idx, self._interval(runner)):
            self._begin_line()

    @staticmethod
    def _interval(runner: Runner) -> int:
        """Iterations between lines of the log."""
        for hook in runner.hooks:
            if type(hook).__name__ == 'LoggerHook':
                return hook.interval
        return 10

    def after_train(self, runner: Runner) -> None:
        for handle in self._handles:
            handle.remove()
        seconds = time.perf_counter() - self._began
        parts = [f'{self.images:,} images', f'wall time {timedelta(seconds=round(seconds))}']
        parts.append(f'{self.images / max(seconds, 1e-9):.1f} images/s, evaluation included')
        parts.append(f'peak memory {_peak_memory():,.0f} MiB')
        parts += self._stop_tracker(runner)
        runner.logger.info(f'This run: {"; ".join(parts)}')

    def _stop_tracker(self, runner: Runner) -> List[str]:
        if self.tracker is None:
            return []
        self._tracker_end.detach()
        try:
            emissions = self.tracker.stop()
            data = self.tracker.final_emissions_data
            place = ', '.join(filter(None, (data.country_name, data.region))) or 'the world'
            return [
                f'estimated {data.energy_consumed:.3g} kWh and {emissions:.3g} kg CO2e '
                f'(codecarbon: CPU {data.cpu_energy:.3g}, GPUs {data.gpu_energy:.3g}, memory '
                f'{data.ram_energy:.3g} kWh of this machine and all that ran on it, by reported or '
                f'rated power; mean carbon intensity of the grid of {place})'
            ]
        except Exception as error:
            runner.logger.warning(f'GreenMonitorHook: no estimate of energy: {error}')
            return []

"""Checkpoints are deleted after the new one is written, never before."""

import os.path as osp
from contextlib import contextmanager
from typing import Any, Iterator

from mmengine.hooks import CheckpointHook as BaseCheckpointHook
from mmengine.runner import Runner

from ...registry import HOOKS


class _KeepForNow:
    """A file backend that notes what to remove."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.outdated = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.outdated.append((self.backend.remove, path))

    def rmtree(self, path: str) -> None:
        self.outdated.append((self.backend.rmtree, path))


@HOOKS.register_module()
class CheckpointHook(BaseCheckpointHook):
    """mmengine's ``CheckpointHook`` that writes first and deletes after.

    mmengine's deletes the oldest checkpoint (the only one with ``max_keep_ckpts=1``), then writes
    the new one: a run that is killed in between has none. It also remembers the best checkpoint by
    its whole path; in a copied work folder that path is the original's, which would be deleted
    there. Here it is looked for beside the others.

    The tools of this package put it in the place of every ``CheckpointHook``.

    Args:
        **kwargs: Those of ``mmengine.hooks.CheckpointHook``.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        for name in [n for n in runner.message_hub.runtime_info if n.startswith('best_ckpt')]:
            path = runner.message_hub.get_info(name)
            if not path or osp.dirname(osp.abspath(path)) == osp.abspath(self.out_dir):
                continue
            own = self.file_backend.join_path(self.out_dir, osp.basename(path))
            runner.message_hub.update_info(name, own)
            if name == 'best_ckpt':
                self.best_ckpt_path = own
            elif self.save_best is not None:
                self.best_ckpt_path_dict[name.removeprefix('best_ckpt_')] = own

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self._deletes_afterwards():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._deletes_afterwards():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _deletes_afterwards(self) -> Iterator[None]:
        if isinstance(self.file_backend, _KeepForNow):  # the best one saves the last one anew
            yield
            return
        self.file_backend = later = _KeepForNow(self.file_backend)
        try:
            yield
        finally:
            self.file_backend = later.backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        for remove, path in later.outdated:
            if path not in current:
                remove(path)

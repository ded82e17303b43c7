"""A run has a whole checkpoint at every moment."""

import os
import shutil

import pytest

from greenmim_mm.engine.hooks import CheckpointHook
from greenmim_mm.engine.runner import TrainingRunner

KEEP_ONE = {'default_hooks.checkpoint.max_keep_ckpts': 1}


def checkpoints(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith('.pth'))


def test_the_old_one_goes_after_the_new_one_is_written(small_run, tmp_path, monkeypatch):
    """With one to keep: what is in the folder whenever a save begins and has ended."""
    seen, save = [], TrainingRunner.save_checkpoint

    def watched(self, *args, **kwargs):
        seen.append(checkpoints(tmp_path))
        save(self, *args, **kwargs)
        seen.append(checkpoints(tmp_path))

    monkeypatch.setattr(TrainingRunner, 'save_checkpoint', watched)
    small_run(tmp_path, **KEEP_ONE).train()
    assert seen == [[], ['epoch_1.pth'], ['epoch_1.pth'], ['epoch_1.pth', 'epoch_2.pth']]
    assert checkpoints(tmp_path) == ['epoch_2.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_2.pth')


def test_a_run_that_dies_while_it_saves_keeps_the_old_one(small_run, tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(28, 'No space left on device')

    runner = small_run(tmp_path, **KEEP_ONE)
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    save = hook._save_checkpoint

    def fail_in_epoch_2(runner):
        if runner.epoch == 1:
            monkeypatch.setattr(TrainingRunner, 'save_checkpoint', full)
        save(runner)

    monkeypatch.setattr(hook, '_save_checkpoint', fail_in_epoch_2)
    with pytest.raises(OSError, match='No space left'):
        runner.train()
    assert checkpoints(tmp_path) == ['epoch_1.pth']
    monkeypatch.undo()
    small_run(tmp_path, auto_resume=True, **KEEP_ONE).train()
    assert checkpoints(tmp_path) == ['epoch_2.pth']


def save_best(runner, score):
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    hook.after_val_epoch(runner, dict(accuracy=score))


def best_options(**more):
    return {'default_hooks.checkpoint.save_best': 'accuracy',
            'default_hooks.checkpoint.rule': 'greater', **more}  # fmt: skip


def test_the_best_one_of_a_copied_folder_is_its_own(small_run, tmp_path):
    """The original's best checkpoint is not deleted when the copy has a better one."""
    original, copy = tmp_path / 'original', tmp_path / 'copy'
    runner = small_run(original, **best_options())
    runner.train()
    save_best(runner, 50.0)
    before = checkpoints(original)
    assert any(name.startswith('best_') for name in before)
    shutil.copytree(original, copy)
    options = best_options(**{'train_cfg.max_epochs': 3, 'param_scheduler.1.end': 3})
    runner = small_run(copy, auto_resume=True, **options)
    runner.train()
    save_best(runner, 60.0)
    assert checkpoints(original) == before
    (best,) = [name for name in checkpoints(copy) if name.startswith('best_')]
    assert best == 'best_accuracy_epoch_3.pth'

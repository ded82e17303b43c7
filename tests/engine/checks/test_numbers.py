"""Numbers that no run can have end it with their key and what is allowed."""

import pytest
from mmengine.config import Config

from greenmim_mm.engine.checks import check_numbers
from tests.test_configs import CONFIGS

TRAIN = ('train_dataloader', 'val_dataloader')


def config(**options):
    cfg = Config(dict(
        train_dataloader=dict(batch_size=4, num_workers=0), val_dataloader=None,
        train_cfg=dict(max_epochs=2), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        randomness=dict(seed=None), auto_scale_lr=dict(base_batch_size=32),
    ))  # fmt: skip
    cfg.merge_from_dict(options)
    return cfg


@pytest.mark.parametrize('key,value,allowed', [
    ('train_dataloader.batch_size', 0, 'a whole number, 1 or more'),
    ('train_dataloader.batch_size', 2.5, 'a whole number, 1 or more'),
    ('train_dataloader.batch_size', True, 'a whole number, 1 or more'),
    ('train_dataloader.num_workers', -1, 'a whole number, 0 or more'),
    ('train_cfg.max_epochs', 0, 'a whole number, 1 or more'),
    ('train_cfg.max_epochs', 1.5, 'a whole number, 1 or more'),
    ('train_cfg.max_epochs', float('inf'), 'a whole number, 1 or more'),
    ('train_cfg.val_interval', 0, 'a whole number, 1 or more'),
    ('optim_wrapper.accumulative_counts', 0, 'a whole number, 1 or more'),
    ('optim_wrapper.optimizer.lr', '1e-3x', 'a number, 0 or more'),
    ('optim_wrapper.optimizer.lr', -1, 'a number, 0 or more'),
    ('optim_wrapper.optimizer.lr', float('nan'), 'a number, 0 or more'),
    ('auto_scale_lr.base_batch_size', '32', 'a whole number, 1 or more'),
    ('randomness.seed', 'abc', 'a whole number from 0 to 4294967295, or None'),
    ('randomness.seed', -1, 'a whole number from 0 to 4294967295, or None'),
    ('randomness.seed', 2**32, 'a whole number from 0 to 4294967295, or None'),
])  # fmt: skip
def test_the_key_the_value_and_what_is_allowed_are_named(key, value, allowed):
    (finding,) = check_numbers(config(**{key: value}), TRAIN)
    assert finding.level == 'error'
    assert finding.message == f'{key} is {allowed}, got {value!r}'


def test_what_a_run_can_have():
    cfg = config(**{'train_cfg.max_iters': 1e5, 'train_cfg.max_epochs': 3.0, 'randomness.seed': 0,
                    'optim_wrapper.optimizer.lr': 0})  # fmt: skip
    assert check_numbers(cfg, TRAIN) == []
    assert check_numbers(Config(dict()), TRAIN) == []


def test_of_several_optimizers_each_is_looked_at():
    good, bad = (dict(optimizer=dict(type='SGD', lr=lr)) for lr in (0.1, 'x'))
    cfg = config(optim_wrapper=dict(_delete_=True, constructor='Mine', a=good, b=bad))
    (finding,) = check_numbers(cfg, TRAIN)
    assert finding.message.startswith('optim_wrapper.b.optimizer.lr is a number')


def test_a_test_does_not_ask_what_belongs_to_training():
    assert check_numbers(config(**{'train_cfg.max_epochs': 0}), ('test_dataloader',)) == []


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_our_configs_pass(path):
    assert check_numbers(Config.fromfile(path), TRAIN) == []

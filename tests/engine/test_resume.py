"""A resumed run goes on with the same model, by the schedule of its config."""

import shutil

import pytest
import torch

from greenmim_mm.compat.safe_load import load_checkpoint_file
from greenmim_mm.engine.checks import CheckError
from tests.tools.conftest import scalars


@pytest.fixture(scope='module')
def first(tmp_path_factory):
    return tmp_path_factory.mktemp('first')


@pytest.fixture
def first_run(first, small_run):
    """The folder of a run of two epochs, which is made once."""
    if not (first / 'epoch_2.pth').exists():
        small_run(first, **{'default_hooks.checkpoint.max_keep_ckpts': -1}).train()
    return first


@pytest.fixture
def half(first_run, tmp_path):
    """A folder in which the first epoch has ended."""
    folder = tmp_path / 'run'
    folder.mkdir()
    shutil.copy(first_run / 'epoch_1.pth', folder)
    return folder


def epochs(number, **options):
    return {'train_cfg.max_epochs': number, 'param_scheduler.1.end': number, **options}


def test_the_same_config_goes_on_as_if_nothing_had_been(first_run, half, small_run, capsys):
    small_run(half, auto_resume=True).train()
    assert scalars(half) == {step: scalars(first_run)[step] for step in range(5, 9)}
    said = capsys.readouterr().out
    assert f'resuming from {half}/epoch_1.pth' in said and 'differs' not in said
    ours, theirs = (load_checkpoint_file(str(d / 'epoch_2.pth')) for d in (half, first_run))
    assert all(torch.equal(ours['state_dict'][k], v) for k, v in theirs['state_dict'].items())


def test_averaged_weights_go_on_too(small_run, tmp_path):
    """``EMAHook`` swaps the two sets of weights in the checkpoint."""
    hooks = [dict(type='EMAHook', momentum=0.5), dict(type='greenmim_mm.ReproducibilityHook')]
    options = {'custom_hooks': hooks, 'default_hooks.checkpoint.max_keep_ckpts': -1}
    small_run(tmp_path / 'whole', **options).train()
    (tmp_path / 'half').mkdir()
    shutil.copy(tmp_path / 'whole' / 'epoch_1.pth', tmp_path / 'half')
    small_run(tmp_path / 'half', auto_resume=True, **options).train()
    whole, half = (
        load_checkpoint_file(str(tmp_path / name / 'epoch_2.pth')) for name in ('whole', 'half')
    )
    for part in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(half[part][key], value) for key, value in whole[part].items())
    key = 'neck.decoder_pred.weight'
    assert not torch.equal(whole['state_dict'][key], whole['ema_state_dict'][f'module.{key}'])


@pytest.mark.parametrize('options,changed', [
    (epochs(4), 'max_epochs 2 -> 4'),
    (epochs(4, **{'optim_wrapper.optimizer.lr': 1e-3}), 'lr 0.002 -> 0.001'),
    (epochs(2, **{'train_dataloader.batch_size': 8}), 'images per step 4 -> 8'),
    (epochs(3, **{'train_dataloader.batch_size': 2}), 'images per step 4 -> 2'),
    ({'param_scheduler.1.eta_min': 1e-3}, 'param_scheduler'),
], ids=str)  # fmt: skip
def test_rates_are_those_of_an_uninterrupted_run_of_the_new_config(
    half, small_run, tmp_path, capsys, options, changed
):
    """The oracle is a run of the new config from its first step."""
    small_run(tmp_path / 'whole', **options).train()
    expected, expected_base = (scalars(tmp_path / 'whole', key) for key in ('lr', 'base_lr'))
    capsys.readouterr()
    small_run(half, auto_resume=True, **options).train()
    resumed = scalars(half, 'lr')
    per_epoch = len(expected) // options.get('train_cfg.max_epochs', 2)
    assert sorted(resumed) == list(range(per_epoch + 1, len(expected) + 1))
    assert resumed == {step: expected[step] for step in resumed}
    assert scalars(half, 'base_lr') == {step: expected_base[step] for step in resumed}
    said = capsys.readouterr().out
    assert changed in said and '16 images seen' in said
    assert f'epoch 1, step {per_epoch} of {len(expected)}' in said


def test_every_setting_of_the_optimizer_is_that_of_the_config(half, small_run, capsys):
    new = {'optim_wrapper.optimizer.weight_decay': 0.1, 'optim_wrapper.optimizer.betas': (0.8, 0.9)}
    runner = small_run(half, auto_resume=True, **new)
    runner.train()
    groups = runner.optim_wrapper.optimizer.param_groups
    assert {group['weight_decay'] for group in groups} == {0.1, 0.0}
    assert {tuple(group['betas']) for group in groups} == {(0.8, 0.9)}
    said = capsys.readouterr().out
    assert 'weight_decay 0.05 -> 0.1' in said and 'betas' in said


def test_what_else_differs_is_said_and_a_finished_run_says_so(half, small_run, capsys):
    new = {'model.mask_ratio': 0.5, 'optim_wrapper.accumulative_counts': 2,
           'model.backbone.with_cp': True}  # fmt: skip
    small_run(half, auto_resume=True, **new).train()
    said = capsys.readouterr().out
    for change in ('model.mask_ratio 0.75 -> 0.5', 'with_cp not set -> True',
                   'optim_wrapper.accumulative_counts not set -> 2'):  # fmt: skip
        assert change in said
    assert 'rebuilt' not in said and 'finished before' not in said
    small_run(half, auto_resume=True, **new).train()
    assert 'this run has finished before, at step 8; nothing is left' in capsys.readouterr().out


def test_another_seed_is_that_of_the_config(half, small_run, capsys):
    runner = small_run(half, auto_resume=True, **{'randomness.seed': 7})
    runner.train()
    assert runner.seed == 7 and runner.message_hub.get_info('seed') == 7
    assert 'seed 0 -> 7' in capsys.readouterr().out


@pytest.mark.parametrize('options,words', [
    ({'model.neck.embed_dims': 32}, 'The decoder of the checkpoint has width 16, the model 32.'),
    ({'model.backbone.stage_cfgs.window_size': 3}, 'has windows of 4, the model of 3'),
    ({'model.backbone.arch.embed_dims': 16, 'model.neck.in_channels': 64},
     'has width 8, the model 16: another config?'),
    ({'model.backbone.arch.depths': [2, 4, 4]}, 'has 2-2-4 blocks, the model 2-4-4'),
    ({'optim_wrapper.paramwise_cfg': None}, 'the optimizer in'),
    ({'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}, None),
])  # fmt: skip
def test_another_model_is_refused_before_the_first_step(half, small_run, options, words):
    if words is None:  # the checkpoint is further than the config
        shutil.move(half / 'epoch_1.pth', half / 'epoch_2.pth')
        checkpoint = torch.load(half / 'epoch_2.pth', weights_only=False)
        checkpoint['meta']['epoch'] = 2
        torch.save(checkpoint, half / 'epoch_2.pth')
        options = epochs(1, **{'param_scheduler.1.begin': 0})
        words = 'is at epoch 2, but the config ends at epoch 1'
    runner = small_run(half, auto_resume=True, **options)
    with pytest.raises(CheckError) as error:
        runner.train()
    assert words in str(error.value)
    assert str(error.value).count('.weight') + str(error.value).count('.bias') <= 11
    assert not scalars(half)


def test_another_number_of_classes_is_refused(tmp_path):
    """Without an optimizer's moments resized, nor a classifier cut."""
    from types import SimpleNamespace

    from greenmim_mm.engine.resume import check_resumable

    head = torch.nn.Sequential()
    head.add_module('fc', torch.nn.Linear(8, 4))
    model = torch.nn.Module()
    model.head = head
    state = {'head.fc.weight': torch.zeros(3, 8), 'head.fc.bias': torch.zeros(3)}
    with pytest.raises(CheckError, match='The checkpoint has 3 classes, the model 4'):
        check_resumable(SimpleNamespace(bare_model=model), dict(state_dict=state), 'a.pth')


def test_published_weights_are_no_run_to_go_on_with(half, small_run):
    checkpoint = load_checkpoint_file(str(half / 'epoch_1.pth'))
    torch.save(dict(state_dict=checkpoint['state_dict'], meta={}), half / 'epoch_1.pth')
    with pytest.raises(CheckError, match='weights only, no optimizer and no progress'):
        small_run(half, auto_resume=True).train()


def test_a_first_start_with_resume_keeps_load_from(half, small_run, tmp_path, capsys):
    options = {'load_from': str(half / 'epoch_1.pth'), 'optim_wrapper.optimizer.lr': 0.0}
    runner = small_run(tmp_path / 'new', auto_resume=True, **options)
    runner.train()
    weights = load_checkpoint_file(str(half / 'epoch_1.pth'))['state_dict']
    assert all(torch.equal(v, weights[k]) for k, v in runner.model.state_dict().items())
    said = capsys.readouterr().out
    assert f'starting anew from {half}/epoch_1.pth' in said

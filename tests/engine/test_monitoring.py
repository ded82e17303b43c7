"""GreenMonitorHook against counts, ReconstructionHook in a real run."""

import gc
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mmengine.hooks import LoggerHook
from mmengine.logging import MessageHub
from PIL import Image

from greenmim_mm.engine.hooks import GreenMonitorHook, ReconstructionHook
from greenmim_mm.sparsity import RandomMasking, build_group_plan, grouping, token_layout
from tests.engine.small_run import small_run


def test_monitor_in_a_run(tmp_path):
    runner = small_run(tmp_path, [dict(type='greenmim_mm.GreenMonitorHook', energy=False)])
    (file,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = list(map(eval, file.read_text().splitlines()))
    assert len(lines) == 4
    for line in lines:
        assert line['images_per_second'] > 0 and line['peak_memory'] > 0
        assert 0 <= line['padding'] < 1 and line['planning_ms'] > 0
    (log,) = tmp_path.glob('*/*.log')
    assert 'This run: 16 images; ' in log.read_text()
    assert not grouping.PLAN_OBSERVERS and runner.iter == 4


class Planner(torch.nn.Module):
    """A model whose forward makes the plans of two stages."""

    def forward(self, fails=False):
        visible = RandomMasking(0.75)((224, 224), 1, seed=0)
        plans = [build_group_plan(token_layout(visible, 8), 7, shift) for shift in (0, 3)]
        if fails:
            raise RuntimeError('out of memory')
        return plans


def monitored(steps=1, interval=10, **kwargs):
    """A hook between before_train and after_train, and what it says."""
    said = []
    logger = SimpleNamespace(info=said.append, warning=said.append)
    hub = MessageHub.get_instance(f'monitor{torch.rand(1).item()}')
    runner = SimpleNamespace(
        logger=logger, message_hub=hub, iter=0, hooks=[LoggerHook(interval=interval)],
        model=Planner(), train_dataloader=torch.utils.data.DataLoader(range(steps)),
    )  # fmt: skip
    hook = GreenMonitorHook(**kwargs)
    hook.before_train(runner)
    return hook, runner, said


def test_padding_is_that_of_the_plans():
    hook, runner, _ = monitored(energy=False)
    plans = runner.model()
    hook.after_train_iter(runner, 0, dict(inputs=torch.zeros(5, 3, 8, 8)))
    pads = sum((plan.window_id == -1).sum() for plan in plans)
    slots = sum(plan.window_id.numel() for plan in plans)
    padding = runner.message_hub.get_scalar('train/padding').current()
    assert padding == pytest.approx((pads / slots).item())
    hook.after_train(runner)
    assert hook.images == 5


def test_planning_time_does_not_grow_with_the_epochs():
    """The values of the report: epochs shorter than the interval of the log, never cleared."""
    hook, runner, _ = monitored(steps=3, interval=10, energy=False)
    slots = sum(plan.window_id.numel() for plan in runner.model())
    for _ in range(100):
        hook.before_train_epoch(runner)
        for batch_idx in range(3):
            runner.model()
            hook.after_train_iter(runner, batch_idx, dict(inputs=torch.zeros(2, 1)))
    assert hook._plans.slots == 3 * slots  # of this epoch alone
    planning = runner.message_hub.get_scalar('train/planning_ms').data[0]
    assert planning[-30:].mean() < 5 * planning[:30].mean()  # it was 200 times as much
    hook.after_train(runner)


def test_time_between_epochs_is_not_that_of_training(monkeypatch):
    now = [0.0]
    monkeypatch.setattr('time.perf_counter', lambda: now[0])
    hook, runner, _ = monitored(steps=2, energy=False)
    for _ in range(2):
        hook.before_train_epoch(runner)
        now[0] += 2  # a step
        hook.after_train_iter(runner, 0, dict(inputs=torch.zeros(4, 1)))
        now[0] += 100  # evaluation
    assert runner.message_hub.get_scalar('train/images_per_second').current() == 2


def test_nothing_listens_after_an_exception():
    hook, runner, _ = monitored(energy=False)
    with pytest.raises(RuntimeError, match='out of memory'):
        runner.model(fails=True)
    assert not grouping.PLAN_OBSERVERS
    before = hook._plans.slots
    Planner()()  # the plans of another model
    assert hook._plans.slots == before > 0


def test_plans_of_an_evaluation_are_not_counted():
    hook, runner, _ = monitored(energy=False)
    runner.model.eval()()
    assert hook._plans.slots == 0


def fake_codecarbon(monkeypatch, **methods):
    """What codecarbon 3.3 has, without sensors."""

    class EmissionsTracker:
        def __init__(self, save_to_file, log_level):
            self.final_emissions_data = SimpleNamespace(
                energy_consumed=0.5, cpu_energy=0.1, gpu_energy=0.3, ram_energy=0.1,
                country_name='Canada', region='quebec',
            )  # fmt: skip

        def start(self):
            pass

        def stop(self):
            return 0.2

    class OfflineEmissionsTracker(EmissionsTracker):
        def __init__(self, country_iso_code, **options):
            super().__init__(**options)
            self.final_emissions_data.country_name = dict(FRA='France').get(country_iso_code)
            self.final_emissions_data.region = None

    for name, method in methods.items():
        setattr(EmissionsTracker, name, method)
    module = ModuleType('codecarbon')
    module.EmissionsTracker = EmissionsTracker
    module.OfflineEmissionsTracker = OfflineEmissionsTracker
    monkeypatch.setitem(sys.modules, 'codecarbon', module)


@pytest.mark.parametrize('country,place', [
    (None, 'Canada, quebec'), ('FRA', 'France'), ('XXX', 'the world'),
])  # fmt: skip
def test_energy_is_an_estimate(monkeypatch, country, place):
    fake_codecarbon(monkeypatch)
    hook, runner, said = monitored(country=country)
    hook.after_train(runner)
    assert 'estimated 0.5 kWh and 0.2 kg CO2e (codecarbon: CPU 0.1, GPUs 0.3, ' in said[-1]
    assert said[-1].endswith(f'of the grid of {place})')


def fail(*args, **kwargs):
    raise PermissionError('no sensor')


@pytest.mark.parametrize('method', ['__init__', 'start', 'stop'])
def test_a_missing_sensor_stops_nothing(monkeypatch, method):
    fake_codecarbon(monkeypatch, **{method: fail})
    hook, runner, said = monitored()
    hook.after_train(runner)
    assert said[0] == 'GreenMonitorHook: no estimate of energy: no sensor'
    assert said[-1].startswith('This run: 0 images') and 'kWh' not in said[-1]


def test_the_tracker_ends_with_a_run_that_failed(monkeypatch):
    stopped = []
    fake_codecarbon(monkeypatch, stop=lambda self: stopped.append(1))
    hook, runner, _ = monitored()
    with pytest.raises(RuntimeError):
        runner.model(fails=True)
    del hook, runner
    gc.collect()
    assert stopped == [1]


def test_without_codecarbon_energy_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, 'codecarbon', None)
    hook, runner, said = monitored()
    hook.after_train(runner)
    assert len(said) == 1 and 'kWh' not in said[0]


def test_reconstruction_hook_in_a_run(tmp_path):
    files = []
    for i in range(2):
        files.append(str(tmp_path / f'{i}.png'))
        Image.effect_noise((90 + i, 80), 50).convert('RGB').save(files[-1])
    hook = dict(type='greenmim_mm.ReconstructionHook', images=files, img_size=64, interval=2)
    runner = small_run(tmp_path / 'run', [hook])
    pictures = sorted((tmp_path / 'run').glob('*/vis_data/vis_image/*.png'))
    assert [path.name for path in pictures] == ['reconstruction_2.png', 'reconstruction_4.png']
    assert Image.open(pictures[0]).size == (4 * 64, 2 * 64) and runner.model.training
    for kwargs in (dict(images=[]), dict(images='a.png'), dict(images=files, interval=0)):
        with pytest.raises(ValueError, match='images must be a list of files and interval at leas'):
            ReconstructionHook(**kwargs)
    with pytest.raises(Exception, match=r'gone\.png'):
        small_run(tmp_path / 'no', [dict(hook, images=[str(tmp_path / 'gone.png')])])


def test_reconstruction_hook_takes_sizes_that_fit_and_no_other(tmp_path):
    file = str(tmp_path / 'a.png')
    Image.effect_noise((90, 80), 50).convert('RGB').save(file)
    hook = dict(type='greenmim_mm.ReconstructionHook', images=[file], interval=2)
    small_run(tmp_path / 'run', [dict(hook, img_size=(64, 96))], epochs=1)
    (picture,) = (tmp_path / 'run').glob('*/vis_data/vis_image/*.png')
    assert Image.open(picture).size == (4 * 96, 64)
    for size, message in (
        (80, r'img_size=80 .*multiples of the mask unit \(32 pixels\), got \(80, 80\)'),
        ((96, 80), r'\(32 pixels\), got \(96, 80\)'),
        (32, 'leaves 0 of 1 mask units'),
    ):
        with pytest.raises(ValueError, match=message):
            small_run(tmp_path / f'no_{size}', [dict(hook, img_size=size)])
        assert not list(tmp_path.glob(f'no_{size}/*/vis_data/scalars.json'))  # before a step
    with pytest.raises(ValueError, match=r'or \(height, width\), got \(1, 2, 3\)'):
        ReconstructionHook([file], img_size=(1, 2, 3))

"""KNNHook against plain loops, GreenMonitorHook against counts, both in a real run."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from PIL import Image

from greenmim_mm.engine.hooks import GreenMonitorHook, KNNHook, ReconstructionHook
from greenmim_mm.engine.hooks.knn_hook import knn_predict
from greenmim_mm.sparsity import RandomMasking, build_group_plan, grouping, token_layout


def test_knn_equals_a_loop():
    queries, keys, labels = torch.randn(7, 5), torch.randn(30, 5), torch.randint(0, 4, (30,))
    for query, predicted in zip(queries, knn_predict(queries, keys, labels, k=6)):
        similarity = torch.stack([torch.cosine_similarity(query, key, dim=0) for key in keys])
        votes = [0.0] * 4
        for i in similarity.argsort(descending=True)[:6].tolist():
            votes[labels[i]] += torch.exp(similarity[i].double() / 0.07).item()
        assert predicted == max(range(4), key=votes.__getitem__)


class Colours(BaseDataset):
    """Images of one colour per class, with a little noise."""

    def __init__(self, number, seed):
        self.number, self.seed = number, seed
        super().__init__(pipeline=[self.draw])

    def load_data_list(self):
        return [dict(index=i) for i in range(self.number)]

    def draw(self, data):
        generator = torch.Generator().manual_seed(self.seed * 1000 + data['index'])
        label = data['index'] % 3
        image = torch.rand(3, 64, 64, generator=generator) * 40
        image[label] += 150
        return dict(inputs=image, data_samples=DataSample().set_gt_label(label))


def loader(number, seed):
    return dict(batch_size=4, num_workers=0, dataset=Colours(number, seed),
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'))  # fmt: skip


def small_run(tmp_path, hooks, epochs=2):
    arch = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
    model = dict(
        type='greenmim_mm.GreenMIM',
        backbone=dict(type='greenmim_mm.GreenSwinTransformer', arch=arch, img_size=64,
                      window_size=4),
        neck=dict(type='greenmim_mm.GreenMIMNeck', in_channels=64, embed_dims=16, num_heads=2),
        head=dict(type='greenmim_mm.GreenMIMHead', norm_pix=True, patch_size=32,
                  loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2')),
    )  # fmt: skip
    runner = Runner(
        model=model, work_dir=str(tmp_path), train_dataloader=loader(8, 0),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)), custom_hooks=hooks,
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None),
        experiment_name=tmp_path.name, randomness=dict(seed=0), log_level='INFO',
    )  # fmt: skip
    runner.train()
    return runner


@pytest.mark.parametrize('interval,expected', [(1, [1, 2, 3]), (2, [2, 3])])
def test_knn_hook_in_a_run(tmp_path, interval, expected):
    hook = dict(type='greenmim_mm.KNNHook', train=loader(12, 1), val=loader(6, 2), k=3,
                interval=interval)  # fmt: skip
    runner = small_run(tmp_path, [hook], epochs=3)
    assert runner.model.training
    (file,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [line for line in map(eval, file.read_text().splitlines()) if 'knn_top1' in line]
    assert [line['step'] for line in lines] == expected
    assert lines[-1]['knn_top1'] == 100  # colours are easy


def test_knn_hook_names_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match='k and interval must be at least 1, got 0 and 1'):
        KNNHook(loader(4, 0), loader(4, 0), k=0, interval=1)
    hook = dict(type='greenmim_mm.KNNHook', train=loader(4, 1), val=loader(6, 2), k=5)
    with pytest.raises(ValueError, match='k=5 neighbours of 4 labelled images'):
        small_run(tmp_path, [hook])


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


def monitored(**kwargs):
    """A hook between before_train and after_train, and what it says."""
    said = []
    logger = SimpleNamespace(info=said.append, warning=said.append)
    hub = MessageHub.get_instance(f'monitor{torch.rand(1).item()}')
    runner = SimpleNamespace(logger=logger, message_hub=hub, hooks=[], iter=0)
    hook = GreenMonitorHook(**kwargs)
    hook.before_train(runner)
    return hook, runner, said


def test_padding_is_that_of_the_plans():
    hook, runner, _ = monitored(energy=False)
    visible = RandomMasking(0.75)((224, 224), 1, seed=0)
    plans = [build_group_plan(token_layout(visible, 8), 7, shift) for shift in (0, 3)]
    hook.after_train_iter(runner, 0, dict(inputs=torch.zeros(5, 3, 8, 8)))
    pads = sum((plan.window_id == -1).sum() for plan in plans)
    slots = sum(plan.window_id.numel() for plan in plans)
    padding = runner.message_hub.get_scalar('train/padding').current()
    assert padding == pytest.approx((pads / slots).item())
    hook.after_train(runner)
    assert hook.images == 5


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

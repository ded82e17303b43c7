"""What takes the place of a sample that a pipeline gives nothing for."""

from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, pseudo_collate
from mmengine.runner import EpochBasedTrainLoop

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.hooks import ReproducibilityHook


class Holes(BaseDataset):
    """Samples that say who they are and what they drew; some pictures are broken."""

    def __init__(self, length, broken, first=0):
        self.length, self.broken, self.first = length, set(broken), first
        super().__init__(pipeline=[self.load, self.augment])

    def load_data_list(self):
        return [
            dict(id=self.first + i, img_path=f'{self.first + i}.jpg') for i in range(self.length)
        ]

    def load(self, data):
        return None if data['id'] in self.broken else data

    def augment(self, data):
        return np.array([data['id'], np.random.rand(), torch.rand(1).item()])


class Filtered(Holes):
    """A random transform that gives nothing half of the time, as a filter of boxes does."""

    def augment(self, data):
        return None if np.random.rand() < 0.5 else super().augment(data)


class Run:
    """A loader with the hook, epoch by epoch."""

    def __init__(self, dataset, seed=0, num_workers=0, order=None):
        self.loader = torch.utils.data.DataLoader(
            dataset, batch_size=4, num_workers=num_workers, collate_fn=pseudo_collate,
            sampler=order,
        )  # fmt: skip
        self.lines = []
        loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
        self.runner = SimpleNamespace(
            train_dataloader=self.loader, train_loop=loop, seed=seed, epoch=0, iter=0,
            logger=SimpleNamespace(warning=self.lines.append),
        )  # fmt: skip
        self.hook = ReproducibilityHook()
        self.hook.before_train(self.runner)

    def epoch(self, number):
        self.runner.epoch = number
        self.hook.before_train_epoch(self.runner)
        drawn = np.stack([sample for batch in self.loader for sample in batch])
        self.hook.after_train_epoch(self.runner)
        return drawn


def test_one_broken_picture_of_32_ends_no_run():
    """The values of the report: number 26 of 32, seed 0; it died in epoch 3, resumed or not."""
    whole = Run(Holes(32, [26]))
    epochs = [whole.epoch(number) for number in range(8)]
    for drawn in epochs:
        assert np.array_equal(np.delete(drawn[:, 0], 26), np.delete(np.arange(32), 26))
        assert drawn[26, 0] != 26
    resumed = Run(Holes(32, [26]), num_workers=2)
    for number in (3, 7):
        assert np.array_equal(resumed.epoch(number), epochs[number])


@pytest.mark.parametrize('seed', range(6))
def test_one_broken_picture_of_1000_over_800_epochs(seed):
    """With a replacement that is a fixed function of the sample, 5 of these 6 seeds died."""
    run = Run(Holes(1000, [123]), seed, order=[123])
    taken = [run.epoch(number)[0, 0] for number in range(800)]
    # 800 independent uniform draws from 999 hit 999 (1 - (1 - 1/999)^800) = 550 in the mean,
    # with a standard deviation below 12
    assert 123 not in taken and 500 < len(set(taken)) < 600


def test_replacements_are_uniform_over_the_data_set():
    run = Run(Holes(12, [5, 6]), order=[5, 6])
    taken = np.concatenate([run.epoch(number)[:, 0] for number in range(1000)]).astype(int)
    counts = np.bincount(taken, minlength=12)
    assert counts[5] == counts[6] == 0
    expected = 2000 / 10
    chi_square = ((np.delete(counts, [5, 6]) - expected) ** 2 / expected).sum()
    assert chi_square < 27.9  # 9 degrees of freedom: exceeded once in 1,000


def test_nearly_all_broken_still_finds_the_last_good_one():
    drawn = Run(Holes(50, range(49))).epoch(0)
    assert set(drawn[:, 0]) == {49}
    assert len(set(drawn[:, 1])) == 50  # each with its own augmentation


def test_any_transform_that_gives_nothing():
    """Not only a loader: every attempt has new draws, and the same ones after resuming."""
    whole = Run(Filtered(16, [3]))
    epochs = [whole.epoch(number) for number in range(3)]
    assert np.array_equal(Run(Filtered(16, [3]), num_workers=1).epoch(2), epochs[2])
    assert not np.array_equal(epochs[0][:, 1], epochs[1][:, 1])


@pytest.mark.parametrize('num_workers', [0, 2])
def test_broken_pictures_are_named_once_and_counted(num_workers):
    parts = [Holes(10, [4]), Holes(20, [100, 107], first=100)]
    run = Run(ConcatDataset(parts), num_workers=num_workers)
    for number in range(3):
        run.epoch(number)
    (line,) = run.lines
    assert line.startswith('3 of 30 pictures could not be used')
    assert 'New: 4.jpg, 100.jpg, 107.jpg' in line
    run.hook.after_train(run.runner)
    assert run.lines[-1].startswith('This run: 3 of 30 pictures could not be used')
    assert parts[0].prepare_data.__func__ is BaseDataset.prepare_data  # all as it was
    assert not hasattr(run.loader.dataset, '__getitems__')


def test_names_that_are_no_utf8_can_be_logged():
    dataset = Holes(4, [2])
    dataset.get_data_info = lambda idx: dict(id=idx, img_path=f'M\udce4dchen{idx}.jpg')
    run = Run(dataset)
    run.epoch(0)
    assert run.lines[0].encode().endswith(rb'New: M\xe4dchen2.jpg')


def test_only_broken_pictures_are_an_error():
    dataset = Holes(8, range(8))
    dataset.max_refetch = 20
    with pytest.raises(CheckError, match=r'21 draws from 8 pictures.*each was unreadable.*\.jpg'):
        Run(dataset).epoch(0)


@pytest.mark.parametrize('sources', [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_mixing_datasets_are_seeded_by_the_outer_sample(sources):
    """As copy-paste does: an inner sample may serve several outer ones, and differs in each."""
    from mmdet.datasets import MultiImageMixDataset
    from mmdet.registry import TRANSFORMS

    class Paste:
        def get_indexes(self, dataset):
            return sources[np.random.randint(4)]

        def __call__(self, results):
            (pasted,) = results['mix_results']
            return dict(own=results['own'], pasted=pasted['own'], later=np.random.rand())

    class Named(Holes):
        def augment(self, data):
            return dict(own=np.array([data['id'], np.random.rand()]))

    TRANSFORMS.register_module(name='PasteOfThisTest', module=Paste, force=True)
    try:
        dataset = MultiImageMixDataset(
            Named(16, [9]), pipeline=[dict(type='mmdet.PasteOfThisTest')]
        )
    finally:
        TRANSFORMS._module_dict.pop('PasteOfThisTest')

    def epoch(number, num_workers=0):
        run = Run(dataset, num_workers=num_workers)
        run.runner.epoch = number
        run.hook.before_train_epoch(run.runner)
        samples = [sample for batch in run.loader for sample in zip(*batch.values())]
        run.hook.after_train(run.runner)
        return [np.concatenate([own, pasted, [later]]) for own, pasted, later in samples]

    drawn = np.stack(epoch(0))
    assert len(set(drawn[:, 1])) == len(set(drawn[:, 3])) == len(set(drawn[:, 4])) == 16
    assert np.array_equal(np.stack(epoch(1)), np.stack(epoch(1, num_workers=2)))
    assert not np.array_equal(np.stack(epoch(1)), drawn)


@pytest.mark.parametrize('num_workers', [0, 1])
def test_what_the_loader_names_with_its_reason_is_not_named_again(tmp_path, num_workers, caplog):
    from mmengine.logging import MMLogger
    from PIL import Image

    from greenmim_mm.datasets import UnlabelledImages

    for i in range(8):
        Image.new('RGB', (4, 4)).save(tmp_path / f'{i}.png')
    (tmp_path / '3.png').write_bytes(b'hello')
    load = dict(type='greenmim_mm.LoadImage', on_error='skip')
    dataset = UnlabelledImages(tmp_path, pipeline=[load, lambda data: np.zeros(3)])
    run = Run(dataset, num_workers=num_workers)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    for number in range(3):
        run.epoch(number)
    logger.removeHandler(caplog.handler)
    (line,) = run.lines
    assert line.startswith('1 of 8 pictures could not be used') and 'New' not in line
    if num_workers == 0:
        (text,) = caplog.messages
        assert f'image {tmp_path}/3.png cannot be read' in text


def test_a_seeded_dataset_can_be_sent_to_a_spawned_worker():
    dataset = Holes(8, [2])
    dataset.pipeline.transforms = [np.asarray]
    run = Run(dataset)
    copy = ForkingPickler.loads(ForkingPickler.dumps(dataset))
    assert copy.__getitems__.dataset is copy and copy.prepare_data.dataset is copy
    run.hook._epoch.fill_(7)
    assert int(copy.__getitems__.epoch) == 7  # shared, as the counts are
    copy.prepare_data.times[2] = 5
    assert dataset.prepare_data.times[2] == 5

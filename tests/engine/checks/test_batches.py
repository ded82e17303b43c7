import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, TensorDataset

from greenmim_mm.engine.checks import check_batches


def loader(number, batch=4, drop_last=True, sampler=None):
    dataset = TensorDataset(torch.zeros(number, 1))
    return DataLoader(dataset, batch, drop_last=drop_last, sampler=sampler and sampler(dataset))


@pytest.mark.parametrize('number,drop_last', [(4, True), (5, True), (1, False), (3, False)])
def test_a_batch_is_enough(number, drop_last):
    assert check_batches(loader(number, drop_last=drop_last)) == []


def test_fewer_samples_than_a_batch_are_named_with_both_numbers():
    (finding,) = check_batches(loader(3))
    assert finding.level == 'error'
    assert 'train_dataloader yields no batch: 3 samples, batch_size=4' in finding.message
    assert '--cfg-options train_dataloader.batch_size=3' in finding.message


def test_processes_share_the_samples(monkeypatch):
    for module in ('mmengine.dataset.sampler.get_dist_info', 'greenmim_mm.engine.checks.batches.'):
        if module.endswith('.'):
            monkeypatch.setattr(f'{module}get_world_size', lambda: 3)
        else:
            monkeypatch.setattr(module, lambda: (1, 3))
    assert check_batches(loader(10, sampler=DefaultSampler)) == []  # 4, 4 and 4, one of them twice
    (finding,) = check_batches(loader(9, sampler=DefaultSampler))
    assert '9 samples on 3 processes, 3 for each, batch_size=4' in finding.message


def test_an_empty_set_is_named_before_a_loop_never_ends():
    for sampler in (None, DefaultSampler, InfiniteSampler):
        for drop_last in (True, False):
            empty = loader(1, drop_last=drop_last, sampler=sampler)
            empty.dataset.tensors = (torch.zeros(0, 1),)
            (finding,) = check_batches(empty, 'x')
            assert 'x: the data set holds no sample' in finding.message


def test_infinite_samplers_fill_a_batch_from_several_rounds():
    small = loader(3, sampler=InfiniteSampler)
    assert len(next(iter(small))[0]) == 4
    assert check_batches(small) == []


def test_batch_samplers_of_detection():
    from mmdet.datasets import AspectRatioBatchSampler

    class Sizes(TensorDataset):
        def get_data_info(self, idx):
            return dict(width=2, height=1)

    dataset = Sizes(torch.zeros(3, 1))
    batches = AspectRatioBatchSampler(DefaultSampler(dataset), batch_size=4, drop_last=True)
    (finding,) = check_batches(DataLoader(dataset, batch_sampler=batches))
    assert '3 samples, batch_size=4' in finding.message

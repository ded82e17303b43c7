from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, DefaultSampler, RepeatDataset
from mmengine.logging import HistoryBuffer
from mmengine.runner import EpochBasedTrainLoop

from greenmim_mm.engine.hooks import NonFiniteLossHook, ReproducibilityHook


class Numbers(BaseDataset):
    """Samples that are random numbers: what an augmentation draws."""

    def __init__(self, length=6):
        self.length = length
        super().__init__(pipeline=[self.draw])

    def load_data_list(self):
        return [dict(id=i) for i in range(self.length)]

    @staticmethod
    def draw(data):
        return np.concatenate([np.random.rand(2), torch.rand(2).numpy()])


def draw_epochs(dataset, epochs, num_workers=0, persistent=False, first=0, seed=3):
    """Run a loader as the train loop does, for some epochs."""
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=2, num_workers=num_workers, persistent_workers=persistent
    )
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    warnings = []
    runner = SimpleNamespace(
        train_dataloader=loader, train_loop=loop, seed=seed, epoch=first, iter=0,
        logger=SimpleNamespace(warning=warnings.append),
    )  # fmt: skip
    hook = ReproducibilityHook()
    hook.before_train(runner)
    drawn = []
    for runner.epoch in range(first, epochs):
        hook.before_train_epoch(runner)
        torch.rand(17), np.random.rand(5)  # what a model may draw in between
        drawn.append(torch.cat(list(loader)))
    return drawn, warnings


@pytest.mark.parametrize('num_workers,persistent', [(0, False), (1, False), (2, True)])
def test_augmentation_is_a_function_of_seed_epoch_and_sample(num_workers, persistent):
    whole, _ = draw_epochs(Numbers(), epochs=3)
    resumed, _ = draw_epochs(Numbers(), 3, num_workers, persistent, first=1)
    assert not torch.equal(whole[0], whole[1])  # epochs differ
    assert not torch.equal(whole[0][0], whole[0][1])  # samples differ
    for a, b in zip(whole[1:], resumed):
        assert torch.equal(a, b)


def test_parts_of_a_concatenation_differ():
    (drawn,), warnings = draw_epochs(ConcatDataset([Numbers(), Numbers()]), 1)
    assert len(torch.unique(drawn[:, 0])) == 12
    assert not warnings


def test_no_part_of_a_concatenation_has_the_augmentation_of_another_seed():
    drawn = [
        draw_epochs(ConcatDataset([Numbers(2), Numbers(2), Numbers(2)]), 3, seed=s)
        for s in (0, 1, 2)
    ]
    rows = torch.cat([epoch for epochs, _ in drawn for epoch in epochs])
    assert len(rows.unique(dim=0)) == len(rows) == 3 * 3 * 6


def test_no_epoch_has_the_order_of_another_seed():
    """mmengine's sampler draws by seed + epoch: epoch 1 of seed 0 was epoch 0 of seed 1."""
    orders = []
    for seed in (0, 1, 2):
        sampler = DefaultSampler(Numbers(50), shuffle=True, seed=seed)
        again = DefaultSampler(Numbers(50), shuffle=True, seed=seed)
        for each in (sampler, again):
            loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
            loader = torch.utils.data.DataLoader(Numbers(50), sampler=each)
            runner = SimpleNamespace(train_dataloader=loader, train_loop=loop, seed=seed)
            ReproducibilityHook().before_train(runner)
        for epoch in range(3):
            sampler.set_epoch(epoch), again.set_epoch(epoch)
            assert list(sampler) == list(again)
            orders.append(tuple(sampler))
    assert len(set(orders)) == len(orders)


def test_repeated_samples_differ_and_resume():
    """Indices of a wrapper are all different, whatever they stand for inside."""
    whole, warnings = draw_epochs(RepeatDataset(Numbers(), 2), 2)
    (resumed,), _ = draw_epochs(RepeatDataset(Numbers(), 2), 2, num_workers=1, first=1)
    assert len(torch.unique(torch.cat(whole)[:, 0])) == 24
    assert torch.equal(whole[1], resumed) and not warnings


def test_training_steps_draw_by_seed_and_iteration():
    runner = SimpleNamespace(seed=3, iter=5)
    draws = []
    for runner.iter in (5, 6, 5):
        torch.rand(3)
        ReproducibilityHook().before_train_iter(runner, 0)
        draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[2]) and not torch.equal(draws[0], draws[1])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_non_finite_loss_names_iteration_rate_and_checkpoint(value):
    hub = SimpleNamespace(
        log_scalars={
            'train/loss': HistoryBuffer([value], [1]),
            'train/acc': HistoryBuffer([1], [1]),
        },
        get_info=lambda name, default: 'work_dirs/x/epoch_3.pth',
    )
    runner = SimpleNamespace(
        message_hub=hub, iter=41, epoch=3,
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.25])),
    )  # fmt: skip
    with pytest.raises(FloatingPointError) as error:
        NonFiniteLossHook().after_train_iter(runner, 0, outputs=dict(loss=value, acc=1))
    for part in ('iteration 42', f'loss={value}', 'learning rate 0.25', 'work_dirs/x/epoch_3.pth'):
        assert part in str(error.value)


def test_finite_loss_passes():
    hub = SimpleNamespace(log_scalars={'train/loss': HistoryBuffer([0.5], [1])})
    NonFiniteLossHook().after_train_iter(
        SimpleNamespace(message_hub=hub), 0, outputs=dict(loss=0.5)
    )


def test_repeated_augmentation_is_left_alone():
    """Seeded by sample, the repeats of a sample would all be the same."""
    from mmpretrain.datasets import RepeatAugSampler

    dataset = Numbers()
    loader = torch.utils.data.DataLoader(dataset, sampler=RepeatAugSampler(dataset, seed=0))
    warnings = []
    runner = SimpleNamespace(
        train_dataloader=loader, train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop),
        seed=3, logger=SimpleNamespace(warning=warnings.append),
    )  # fmt: skip
    ReproducibilityHook().before_train(runner)
    assert 'RepeatAugSampler' in warnings[0]
    assert not torch.equal(*[torch.from_numpy(dataset[0]) for _ in range(2)])

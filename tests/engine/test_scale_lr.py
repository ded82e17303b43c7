"""``--auto-scale-lr`` counts accumulated gradients."""

import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from greenmim_mm.engine.runner import TrainingRunner


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.layer(torch.stack(inputs)).mean())


@pytest.mark.parametrize('counts', [1, 4])
def test_rate_is_proportional_to_the_images_of_a_step(tmp_path, counts):
    """32 images of batches of 2: rate x 2 x counts / 32, and mmengine steps every ``counts``."""
    dataset = [dict(inputs=torch.ones(1))] * 16
    runner = TrainingRunner(
        Model(), str(tmp_path),
        train_dataloader=dict(dataset=dataset, batch_size=2,
                              sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.8), accumulative_counts=counts),
        auto_scale_lr=dict(enable=True, base_batch_size=32),
        experiment_name=f'true_batch_{counts}',
    )  # fmt: skip
    steps = []
    runner.train_loop  # noqa: B018  (built here)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_post_hook(
        lambda optimizer, *_: steps.append(optimizer.param_groups[0]['lr'])
    )
    runner.train()
    assert len(steps) == 16 // (2 * counts)
    assert steps == pytest.approx([0.8 * 2 * counts / 32] * len(steps))

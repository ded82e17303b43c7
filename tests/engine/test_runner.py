"""The data is looked at before the model is built."""

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner

from greenmim_mm.datasets import ValueRangeError
from greenmim_mm.datasets.brightness import DeepValues, black_and_white
from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.errors import explain, is_mendable
from greenmim_mm.engine.hooks import GreenMonitorHook, ReproducibilityHook
from greenmim_mm.engine.runner import TrainingRunner

built = []


class Ones(BaseDataset):
    def __init__(self, number):
        self.number = number
        super().__init__()

    def load_data_list(self):
        built.append('data')
        return [dict(inputs=torch.ones(2)) for _ in range(self.number)]


@MODELS.register_module(name='OneWeightOfThisTest', force=True)
class OneWeight(BaseModel):
    def __init__(self):
        built.append('model')
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, **kwargs):
        return dict(loss=(self.weight * torch.stack(inputs)).mean())


def run(tmp_path, number, runner=TrainingRunner, hooks=(), **loader):
    from mmengine.registry import DATASETS

    DATASETS.register_module(name='OnesOfThisTest', module=Ones, force=True)
    built.clear()
    data = dict(type='OnesOfThisTest', number=number)
    return runner(
        model=dict(type='OneWeightOfThisTest'), work_dir=str(tmp_path),
        train_dataloader=dict(dataset=data, batch_size=4, num_workers=0,
                              sampler=dict(type='DefaultSampler', shuffle=True), **loader),
        train_cfg=dict(by_epoch=True, max_epochs=2), custom_hooks=list(hooks),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        auto_scale_lr=dict(base_batch_size=8, enable=True),
        randomness=dict(seed=0), experiment_name=tmp_path.name,
    )  # fmt: skip


def test_the_data_is_built_once_and_before_the_model(tmp_path):
    runner = run(tmp_path, 9)
    runner.train()
    assert built == ['data', 'model']
    assert runner.iter == 6 and runner.optim_wrapper.get_lr()['lr'] == [0.05]


@pytest.mark.parametrize('number,words', [
    (3, '3 samples, batch_size=4'), (0, 'the data set holds no sample'),
])  # fmt: skip
def test_too_little_data_ends_before_the_model_is_built(tmp_path, number, words):
    with pytest.raises(CheckError, match=words):
        run(tmp_path, number, drop_last=True)
    assert built == ['data']


@pytest.mark.parametrize('hook', [GreenMonitorHook, ReproducibilityHook])
def test_no_run_of_zero_steps_leaves_a_checkpoint(tmp_path, hook):
    """Also with mmengine's own runner."""
    runner = run(tmp_path, 3, Runner, [hook()], drop_last=True)
    with pytest.raises(CheckError, match='3 samples, batch_size=4'):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('num_workers', [0, 1])
def test_pictures_that_fail_in_training_are_one_line(tmp_path, num_workers):
    class Fails(Ones):
        def prepare_data(self, idx):
            black_and_white(DeepValues(np.array([[-3, 900]]), 'int32', None, False))

    runner = run(tmp_path, 9)
    loader = torch.utils.data.DataLoader(Fails(9), batch_size=4, num_workers=num_workers)
    runner._first_loader = loader
    with pytest.raises(ValueRangeError) as error:
        runner.train()
    assert is_mendable(error.value)
    said = explain(error.value).splitlines()[0]
    assert said.startswith('int32 with values from -3 to 900: a type without a natural white; set')

import json
import os
import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from greenmim_mm.compat.safe_load import (
    load_checkpoint_file,
    load_safely_in_mmengine,
    weights_of,
)


class Attack:
    """Creates a file when it is unpickled by plain pickle."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('legacy', [False, True])
def test_weights_come_out_and_no_code_runs(tmp_path, legacy):
    trap = tmp_path / 'trap'
    weights = {'layer.weight': torch.randn(3, 2), 'step': torch.tensor(7)}
    file = tmp_path / 'attack.pth'
    torch.save(
        dict(state_dict=weights, meta=dict(attack=Attack(trap), epoch=3)),
        file,
        _use_new_zipfile_serialization=not legacy,
    )
    loaded = load_checkpoint_file(file)
    assert not trap.exists()
    assert loaded['meta']['epoch'] == 3
    for name, value in weights.items():
        assert torch.equal(loaded['state_dict'][name], value)
    # the trap is a real one
    torch.load(file, weights_only=False)
    assert trap.exists()


@pytest.mark.parametrize('target', ['getattr', 'eval', '__import__', 'exec'])
def test_dangerous_builtins_do_nothing(tmp_path, target):
    trap = tmp_path / 'trap'

    class Call:
        def __reduce__(self):
            import builtins

            if target == 'getattr':
                return getattr, (str, 'upper')
            return getattr(builtins, target), (f'__import__("os").mkdir({str(trap)!r})',)

    file = tmp_path / 'x.pth'
    torch.save(dict(state_dict={'w': torch.ones(1)}, meta=Call()), file)
    loaded = load_checkpoint_file(file)
    assert not trap.exists()
    assert loaded['meta'] is not str.upper
    assert loaded['state_dict']['w'] == 1


def test_what_a_training_checkpoint_holds(tmp_path):
    """Log histories, numpy values and nested containers come back equal: resuming needs them."""
    buffer = HistoryBuffer([1.5, 2.5], [1, 1])
    checkpoint = dict(
        message_hub=dict(log_scalars={'train/loss': buffer}),
        meta=dict(
            array=np.arange(3),
            scalar=np.float64(2.5),
            names=('a', 'b'),
            group={'x', 'y'},
            raw=b'\x00\xff',
        ),
        optimizer=dict(state={0: dict(step=torch.tensor(3.0))}, param_groups=[dict(lr=0.1)]),
        dtype=torch.bfloat16,
    )
    file = tmp_path / 'epoch_1.pth'
    torch.save(checkpoint, file)
    loaded = load_checkpoint_file(file)
    back = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(back, HistoryBuffer)
    assert back.data[0].tolist() == [1.5, 2.5] and back.mean() == 2.0
    assert loaded['meta']['array'].tolist() == [0, 1, 2]
    assert loaded['meta']['scalar'] == 2.5
    assert {k: loaded['meta'][k] for k in ('names', 'group', 'raw')} == {
        k: checkpoint['meta'][k] for k in ('names', 'group', 'raw')
    }
    assert loaded['optimizer']['state'][0]['step'] == 3
    assert loaded['dtype'] is torch.bfloat16


def test_missing_truncated_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth' is not a file"):
        load_checkpoint_file(str(tmp_path / 'nowhere.pth'))
    good = tmp_path / 'good.pth'
    torch.save({'w': torch.randn(1000)}, good)
    bad = tmp_path / 'bad.pth'
    bad.write_bytes(good.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r'bad\.pth cannot be read'):
        load_checkpoint_file(str(bad))
    bad.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match=r'bad\.pth'):
        load_checkpoint_file(str(bad))


@pytest.mark.parametrize('content,message', [
    (dict(state_dict=None), "'state_dict' must be a dict of tensors, got NoneType"),
    (dict(state_dict={}), "'state_dict' is empty"),
    (dict(state_dict=torch.nn.Linear(1, 1)), "'state_dict' must be a dict of tensors, got a pickl"),
    (dict(state_dict={'a.weight': 0.5}), "must hold tensors only, got float under 'a.weight'"),
    (dict(state_dict={'a.weight': [0.5]}), "must hold tensors only, got list under 'a.weight'"),
    (torch.nn.Linear(1, 1), 'must hold a dict, got a pickled model; save model.state_dict'),
    ([1, 2], 'must hold a dict, got list'),
])  # fmt: skip
def test_what_is_no_state_dict_is_refused(tmp_path, content, message):
    file = tmp_path / 'x.pth'
    torch.save(content, file)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_checkpoint_file(str(file))


@pytest.mark.parametrize('content,keys', [
    (dict(state_dict={'a': torch.ones(1)}), ['a']),
    (dict(model={'a': torch.ones(1)}, epoch=3), ['a']),
    (dict(module={'a': torch.ones(1)}), ['a']),
    ({'a.weight': torch.ones(1), 'epoch': 3}, ['a.weight']),
])  # fmt: skip
def test_where_weights_are_looked_for(content, keys):
    assert list(weights_of(content, 'x.pth')) == keys


@pytest.mark.parametrize('content,message', [
    (dict(model=None), "'model' must be a dict of tensors, got NoneType"),
    (dict(model={}), "'model' is empty"),
    (dict(epoch=3, name='x'), 'holds no weights'),
    ({}, 'holds no weights'),
    ({'a.weight': torch.ones(1), 'a.bias': 0.5}, "got float under 'a.bias'"),
])  # fmt: skip
def test_where_no_weights_are(content, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        weights_of(content, 'x.pth')


@pytest.mark.parametrize('spell', [json.dumps, str], ids=['json', 'str, until version 0.1'])
def test_safetensors_are_read_as_checkpoints(tmp_path, spell):
    """With what ``publish_model.py`` writes beside the weights: classes, epoch."""
    safetensors = pytest.importorskip('safetensors.torch')
    weights = {'backbone.w': torch.randn(3), 'head.b': torch.randn(2, 2).bfloat16()}
    meta = dict(epoch=3, dataset_meta=dict(classes=['a', 'b']), time='20261125_1')
    file = tmp_path / 'x.safetensors'
    safetensors.save_file(weights, file, {key: spell(value) for key, value in meta.items()})
    loaded = load_checkpoint_file(str(file))
    assert all(torch.equal(loaded['state_dict'][key], value) for key, value in weights.items())
    assert loaded['meta'] == meta
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=r'x\.safetensors cannot be read'):
        load_checkpoint_file(str(file))


def test_mmengine_reads_safetensors_too(tmp_path):
    """``load_from``, ``init_cfg`` and ``tools/test.py`` go through its loader."""
    from mmengine.runner.checkpoint import CheckpointLoader

    safetensors = pytest.importorskip('safetensors.torch')
    load_safely_in_mmengine()
    file = tmp_path / 'x.safetensors'
    safetensors.save_file({'w': torch.ones(3)}, file)
    loaded = CheckpointLoader.load_checkpoint(str(file), map_location='cpu')
    assert loaded['state_dict']['w'].tolist() == [1, 1, 1]

"""Hooks, data sets, transforms, constructors: every option is seen to work by a named test.

Models have a table of values, ``tests/models/test_options.py``. Here a new option without an
entry fails, and so does an entry whose test is gone or does not say the option's name.
"""

from pathlib import Path

import pytest
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from PIL import Image

from greenmim_mm import datasets
from greenmim_mm.engine import hooks, layer_decay  # noqa: F401 (registers)
from greenmim_mm.registry import DATASETS, HOOKS, OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS
from tests.options import options_of

KNN = 'tests/engine/test_knn_hook.py'
PREDICTIONS = 'tests/engine/test_prediction_pictures.py'
DECODING = 'tests/datasets/test_decoding.py'
MONITORING = 'tests/engine/test_monitoring.py'
LOADING = 'tests/datasets/test_loading.py'
HERE = 'tests/test_options.py'
IMAGES = 'tests/datasets/test_unlabelled_images.py'
INHERITED = {  # not ours: BaseDataset and LoadImageFromFile hand them on
    'UnlabelledImages': {'ann_file', 'metainfo', 'data_prefix', 'filter_cfg', 'indices',
                         'serialize_data', 'pipeline', 'test_mode', 'lazy_init', 'max_refetch'},
    'LoadImage': {'to_float32', 'color_type', 'file_client_args', 'ignore_empty', 'backend_args'},
    'LayerDecayOptimWrapperConstructor': {'optim_wrapper_cfg', 'paramwise_cfg'},
    'CheckpointHook': options_of(CheckpointHook),
}  # fmt: skip
SEEN = {
    'CheckpointHook': {},
    'KNNHook': {'train': KNN, 'val': KNN, 'k': KNN, 'interval': KNN},
    'PredictionPicturesHook': {'out_dir': PREDICTIONS, 'score_thr': PREDICTIONS},
    'GreenMonitorHook': {'energy': MONITORING, 'country': MONITORING},
    'NonFiniteLossHook': {},
    'ReconstructionHook': {'images': MONITORING, 'img_size': MONITORING, 'interval': MONITORING,
                           'seed': MONITORING},
    'ReproducibilityHook': {},
    'UnlabelledImages': {'data_root': IMAGES, 'extensions': HERE, 'sample': HERE},
    'LoadImage': {'on_error': LOADING, 'imdecode_backend': LOADING, 'value_range': DECODING,
                  'max_pixels': LOADING},
    'LayerDecayOptimWrapperConstructor': {},
}  # fmt: skip
CLASSES = {
    name: cls
    for registry in (HOOKS, DATASETS, TRANSFORMS, OPTIM_WRAPPER_CONSTRUCTORS)
    for name, cls in registry.module_dict.items()
}


@pytest.mark.parametrize('name', sorted(CLASSES))
def test_every_option_is_seen_by_a_test(name):
    inherited = INHERITED.get(name, set())
    assert options_of(CLASSES[name]) == set(SEEN[name]) | inherited
    for option, path in SEEN[name].items():
        assert f'{option}=' in Path(path).read_text(), f'{path} sets no {option}'


def test_extensions_choose_the_files(tmp_path):
    for name in ('a.png', 'b.jpg', 'c.tif'):
        Image.new('RGB', (32, 32)).save(tmp_path / name)
    for extensions, found in ((('.png',), ['a.png']), (('.jpg', '.tif'), ['b.jpg', 'c.tif'])):
        dataset = datasets.UnlabelledImages(str(tmp_path), extensions=extensions, pipeline=[])
        paths = [Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset))]
        assert paths == found


@pytest.mark.parametrize('number', [1, 3])
def test_sample_says_how_many_are_looked_at(tmp_path, monkeypatch, number):
    for name in 'abcd':
        Image.new('RGB', (32, 32)).save(tmp_path / f'{name}.png')
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', said.append)
    datasets.UnlabelledImages(str(tmp_path), sample=number, pipeline=[])
    assert f'of {number} looked at' in said[0]

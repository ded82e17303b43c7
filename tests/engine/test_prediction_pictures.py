"""Pictures of predictions: a file per image, in the folder that was named."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from PIL import Image

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.hooks import PredictionPicturesHook


@pytest.fixture
def images(tmp_path):
    """Four pictures of one name, each of its own grey."""
    files = []
    for i in range(4):
        file = tmp_path / 'data' / f'cam{i}' / 'frame.jpg'
        file.parent.mkdir(parents=True)
        Image.new('RGB', (64, 48), (40 + 50 * i,) * 3).save(file)
        files.append(str(file))
    return files


def detection(path):
    from mmdet.structures import DetDataSample

    sample = DetDataSample(metainfo=dict(img_path=path))
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[5.0, 5, 30, 30]]), scores=torch.tensor([0.9]),
        labels=torch.tensor([0]),
    )  # fmt: skip
    return sample


def classification(path):
    from mmpretrain.structures import DataSample

    sample = DataSample(metainfo=dict(img_path=path))
    return sample.set_pred_score(torch.tensor([0.2, 0.8])).set_pred_label(1)


def segmentation(path):
    from mmseg.structures import SegDataSample

    sample = SegDataSample(metainfo=dict(img_path=path))
    sample.pred_sem_seg = PixelData(data=torch.zeros(1, 48, 64, dtype=torch.long))
    return sample


def visualizer(package):
    from mmengine.visualization import Visualizer

    if package == 'mmdet':
        from mmdet.visualization import DetLocalVisualizer as kind
    elif package == 'mmpretrain':
        from mmpretrain.visualization import UniversalVisualizer as kind
    elif package == 'mmseg':
        pytest.importorskip('mmseg')
        from mmseg.visualization import SegLocalVisualizer as kind
    else:
        kind = Visualizer
    return kind()


class Data(list):
    metainfo = dict(classes=['a', 'b'], palette=[(255, 0, 0), (0, 255, 0)])

    def get_data_info(self, index):
        return dict(img_path=self[index])


def run(images, package, out_dir, make, **options):
    hook = PredictionPicturesHook(str(out_dir), **options)
    runner = SimpleNamespace(visualizer=visualizer(package), work_dir='elsewhere', timestamp='now',
                             test_dataloader=SimpleNamespace(dataset=Data(images)))  # fmt: skip
    hook.before_test(runner)
    for i in range(0, len(images), 2):  # two batches
        hook.after_test_iter(runner, i, None, [make(path) for path in images[i : i + 2]])


@pytest.mark.parametrize('package,make', [
    ('mmdet', detection), ('mmpretrain', classification), ('mmseg', segmentation)
])  # fmt: skip
def test_a_file_per_image_in_the_folder_that_was_named(
    images, tmp_path, monkeypatch, package, make
):
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    run(images, package, 'pictures', make)
    found = sorted(p for p in tmp_path.rglob('*') if p.is_file() and 'data' not in p.parts)
    assert found == [tmp_path / f'here/pictures/cam{i}/frame.jpg' for i in range(4)]
    greys = [np.median(np.asarray(Image.open(p).convert('L'))[-8:, -8:]) for p in found]
    if package != 'mmseg':  # which paints over everything
        assert np.allclose(greys, [40, 90, 140, 190], atol=4)


def test_the_threshold_is_passed_on(images, tmp_path):
    drawn = {}
    for threshold in (0.5, 0.95):
        run(images[:1], 'mmdet', tmp_path / str(threshold), detection, score_thr=threshold)
        drawn[threshold] = np.asarray(Image.open(tmp_path / str(threshold) / 'frame.jpg'), float)
    assert np.ptp(drawn[0.95]) < 10 < np.ptp(drawn[0.5])


def test_every_process_draws_its_images(images, tmp_path, monkeypatch):
    """The visualizers themselves do nothing in the second process."""
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: 1)
    run(images, 'mmdet', tmp_path / 'out', detection)
    assert len(list((tmp_path / 'out').rglob('*.jpg'))) == 4


def test_a_format_that_cannot_be_written_becomes_png(images, tmp_path):
    file = tmp_path / 'data' / 'x.xyz'
    Image.new('RGB', (64, 48)).save(file, format='BMP')
    run([*images[:1], str(file)], 'mmdet', tmp_path / 'out', detection)
    assert (tmp_path / 'out' / 'x.xyz.png').is_file()


def test_nothing_is_left_out_in_silence(images, tmp_path):
    with pytest.raises(CheckError, match='Visualizer draws no predictions: visualizer'):
        run(images, 'mmengine', tmp_path / 'out', detection)

    def without_path(path):
        sample = detection(path)
        sample.pop('img_path')
        return sample

    with pytest.raises(CheckError, match='add it to meta_keys'):
        run(images, 'mmdet', tmp_path / 'out', without_path)
    with pytest.raises(CheckError, match='out_dir must be a folder, got the file'):
        PredictionPicturesHook(out_dir=images[0])

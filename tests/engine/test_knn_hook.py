"""KNNHook against plain loops, on several processes and on pictures that cannot be read."""

import numpy as np
import pytest
import torch
from PIL import Image

from greenmim_mm.engine.hooks import KNNHook, labelled_images
from greenmim_mm.engine.hooks.knn_hook import knn_predict
from greenmim_mm.engine.hooks.labelled_images import LabelledImages
from tests.engine.small_run import Colours, loader, small_run


def test_knn_equals_a_loop():
    queries, keys, labels = torch.randn(7, 5), torch.randn(30, 5), torch.randint(0, 4, (30,))
    for query, predicted in zip(queries, knn_predict(queries, keys, labels, k=6)):
        similarity = torch.stack([torch.cosine_similarity(query, key, dim=0) for key in keys])
        votes = [0.0] * 4
        for i in similarity.argsort(descending=True)[:6].tolist():
            votes[labels[i]] += torch.exp(similarity[i].double() / 0.07).item()
        assert predicted == max(range(4), key=votes.__getitem__)


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


def scores(folder):
    (file,) = folder.glob('*/vis_data/scalars.json')
    lines = map(eval, file.read_text().splitlines())
    return [line['knn_top1'] for line in lines if 'knn_top1' in line]


COLOURS = dict(blue=(20, 20, 230), green=(20, 230, 20), red=(230, 20, 20))


def folders(root, **numbers):
    """A folder for each colour; a dataloader config of it."""
    noise = np.random.default_rng(len(str(root)))
    for colour, number in numbers.items():
        (root / colour).mkdir(parents=True)
        for i in range(number):
            pixels = np.array(COLOURS[colour]) + noise.integers(-20, 20, (64, 64, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / colour / f'{i}.png')
    pipeline = [dict(type='mmpretrain.LoadImageFromFile'), dict(type='mmpretrain.PackInputs')]
    dataset = dict(type='mmpretrain.CustomDataset', data_root=str(root), pipeline=pipeline)
    return dict(batch_size=4, num_workers=0, dataset=dataset)


def hook(root, train=None, val=None, **kwargs):
    train = folders(root / 'train', **(train or dict(blue=4, green=4, red=4)))
    val = folders(root / 'val', **(val or dict(blue=2, green=2, red=2)))
    return dict(type='greenmim_mm.KNNHook', train=train, val=val, **dict(dict(k=3), **kwargs))


def test_classes_are_compared_by_name(tmp_path):
    """The validation folder lacks a class, so that its numbers mean other classes: was 0.00."""
    small_run(tmp_path / 'run', [hook(tmp_path, val=dict(green=3, red=3))], epochs=1)
    assert scores(tmp_path / 'run') == [100]
    with pytest.raises(ValueError, match='val has classes that train does not have: red; train'):
        small_run(tmp_path / 'no', [hook(tmp_path / 'b', train=dict(blue=4, green=4))], epochs=1)


@pytest.mark.parametrize('damage', ['val/red/1.png', 'train/green/0.png'])
def test_an_unreadable_picture_is_named_and_left_out(tmp_path, damage):
    cfg = hook(tmp_path)
    (tmp_path / damage).write_bytes(b'broken')
    runner = small_run(tmp_path / 'run', [cfg, dict(type='CheckpointHook')], epochs=2)
    assert scores(tmp_path / 'run') == [100] and runner.iter == 4
    assert (tmp_path / 'run/epoch_2.pth').is_file()
    (log,) = (tmp_path / 'run').glob('*/*.log')
    text = log.read_text()
    assert text.count(f'leaves out {tmp_path}/{damage}, which cannot be read') == 1
    assert '1 unreadable left out' in text


def test_a_reader_that_skips_does_not_count_another_picture_twice(tmp_path):
    cfg = hook(tmp_path, val=dict(blue=1, green=1, red=1))
    (tmp_path / 'val/red/0.png').write_bytes(b'broken')
    skip = dict(type='greenmim_mm.LoadImage', on_error='skip')
    cfg['val']['dataset']['pipeline'][0] = skip
    images = LabelledImages(cfg['val'])
    features, labels, unreadable = images.encode(lambda batch: batch.float().mean((2, 3)))
    assert labels.tolist() == [0, 1] and len(features) == 2
    assert [picture.name for picture in unreadable] == [str(tmp_path / 'val/red/0.png')]


def test_what_cannot_work_fails_at_the_start(tmp_path):
    cfg = hook(tmp_path)
    for file in (tmp_path / 'val').glob('*/*.png'):
        file.write_bytes(b'broken')
    with pytest.raises(ValueError, match=r'none of 6 labelled pictures can be read, first .*blue'):
        small_run(tmp_path / 'run', [cfg], epochs=1)
    cfg = hook(tmp_path / 'b')
    cfg['val']['dataset']['pipeline'].insert(1, dict(type='mmpretrain.CenterCrop', crop_size=40))
    with pytest.raises(ValueError, match=r'multiples of the mask unit.*\(40, 40\)'):
        small_run(tmp_path / 'run2', [cfg], epochs=1)


def test_too_few_readable_keys_end_no_run(tmp_path):
    cfg = hook(tmp_path, k=12)
    (tmp_path / 'train/red/0.png').write_bytes(b'broken')
    small_run(tmp_path / 'run', [cfg], epochs=1)
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert 'no knn_top1: 11 keys and 6 queries can be read, k=12' in log.read_text()


@pytest.mark.parametrize('processes', [2, 3])
@pytest.mark.parametrize('number', [12, 13])
def test_several_processes_give_the_figure_of_one(monkeypatch, processes, number):
    """Each reads its share; together every picture once, in order, whatever the sampler says."""

    def encode(batch):
        return batch.flatten(1)[:, :5]

    alone = LabelledImages(loader(number, 1)).encode(encode)
    assert len(alone[0]) == number
    parts = []
    for rank in range(processes):
        monkeypatch.setattr(labelled_images, 'get_dist_info', lambda rank=rank: (rank, processes))
        monkeypatch.setattr(labelled_images, 'all_gather_object',
                            lambda part: parts.append(part) or [part])  # fmt: skip
        LabelledImages(loader(number, 1)).encode(encode)
    monkeypatch.setattr(labelled_images, 'all_gather_object', lambda part: parts)
    together = LabelledImages(loader(number, 1)).encode(encode)
    assert torch.equal(alone[0], together[0]) and torch.equal(alone[1], together[1])


def test_pictures_of_several_sizes(tmp_path):
    class Sizes(Colours):
        def draw(self, data):
            sample = super().draw(data)
            width = 32 * (1 + data['index'] % 2)
            return dict(sample, inputs=sample['inputs'][..., :width])

    train = dict(loader(1, 1), dataset=Sizes(12, 1))
    small_run(tmp_path, [dict(type='greenmim_mm.KNNHook', train=train, val=loader(6, 2), k=3)], 1)
    assert scores(tmp_path) == [100]

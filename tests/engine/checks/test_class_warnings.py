"""What a run says of annotation files that it takes all the same."""

import json

from .test_classes import NAMES, coco, config, errors, warnings


def test_a_warning_says_what_the_run_does(tmp_path):
    """Left out, trained on, or used as it is: not one wording for all."""
    coco(tmp_path / 'val.json', NAMES)
    for changes, means in (
        (dict(iscrowd=None), 'trained on; an evaluation on this file would fail'),
        (dict(area=99_999), 'used as the file has it: area differs: 6'),
    ):
        coco(tmp_path / 'train.json', NAMES, **changes)
        (told,) = warnings(config(tmp_path))
        assert means in told and 'left out' not in told
    coco(tmp_path / 'train.json', NAMES)
    data = json.loads((tmp_path / 'train.json').read_text())
    data['annotations'][0].update(area=0)
    data['annotations'][1].update(id=0)
    (tmp_path / 'train.json').write_text(json.dumps(data))
    told = '\n'.join(sorted(warnings(config(tmp_path))))
    assert 'left out: area 0: 1 (' in told and 'trained on; an evaluation' in told


def test_a_validation_without_objects(tmp_path):
    coco(tmp_path / 'train.json', NAMES)
    for objects, names in (((), NAMES), (('ant',), (*NAMES, 'ant'))):
        coco(tmp_path / 'val.json', names, objects=objects)
        cfg = config(tmp_path)
        told = [text for text in warnings(cfg) if 'no usable object' in text]
        assert errors(cfg) == [] and len(told) == 1 and 'Every score would be -1' in told[0]


def test_a_class_left_out_that_may_be_misspelt(tmp_path):
    """A file that was given the missing name as a category without objects."""
    coco(tmp_path / 'train.json', NAMES)
    coco(tmp_path / 'val.json', NAMES, objects=('cat', 'dog'))
    data = json.loads((tmp_path / 'val.json').read_text())
    data['categories'].append(dict(id=4, name='Birds'))
    data['annotations'][0]['category_id'] = 4
    (tmp_path / 'val.json').write_text(json.dumps(data))
    (told,) = [text for text in warnings(config(tmp_path)) if 'left out' in text]
    assert "'Birds' is near 'bird', which has no object" in told
    assert "--rename 'Birds=bird' --fix NEW.json" in told

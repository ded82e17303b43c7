import pytest
from mmengine.config import Config

from greenmim_mm.engine.checks import check_schedule
from tests.test_configs import CONFIGS


def config(epochs, *schedulers):
    return Config(dict(train_cfg=dict(max_epochs=epochs), param_scheduler=list(schedulers)))


WARM_UP = dict(type='LinearLR', by_epoch=False, begin=0, end=500)
COSINE = dict(type='CosineAnnealingLR', by_epoch=True, begin=1, end=36)
STEPS = dict(type='MultiStepLR', milestones=[27, 33])  # no end: it goes on


@pytest.mark.parametrize('epochs,schedulers,words', [
    (36, [WARM_UP, COSINE], None),
    (36, [], None),
    (50, [WARM_UP, STEPS], None),
    (50, [WARM_UP, COSINE], 'from there on the rate stays as it is (the last epochs: 14)'),
    (12, [WARM_UP, COSINE], 'the run ends before the rates that the schedule ends with'),
])  # fmt: skip
def test_schedule_and_run_end_together(epochs, schedulers, words):
    findings = check_schedule(config(epochs, *schedulers))
    if words is None:
        assert findings == []
        return
    (finding,) = findings
    assert finding.level == 'warning' and words in finding.message
    assert f'--cfg-options param_scheduler.1.end={epochs}' in finding.message


def test_runs_by_iteration():
    cfg = Config(dict(
        train_cfg=dict(by_epoch=False, max_iters=100),
        param_scheduler=[dict(type='PolyLR', by_epoch=False, end=80)],
    ))  # fmt: skip
    (finding,) = check_schedule(cfg)
    assert 'param_scheduler.0.end=100' in finding.message


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_our_configs_agree_with_themselves(path):
    assert check_schedule(Config.fromfile(path)) == []

import json

import pytest

from tests.tools.conftest import refusal, run_tool

TOOLS = 'tools/analysis_tools'
SMALL = ['--arch', 'tiny', '--img-size', '64', '--batch-size', '2', '--rounds', '2',
         '--warmup', '1']  # fmt: skip


@pytest.mark.slow
def test_pretrain_benchmark(tmp_path):
    contestants = ['greenmim', 'greenmim+per-image', 'greenmim+checkpoint', 'greenmim@128',
                   'greenmim+bf16', 'linear-limit', 'simmim']  # fmt: skip
    done = run_tool(f'{TOOLS}/benchmark_pretrain.py', *SMALL, '--out', tmp_path, *contestants)
    result = json.loads((tmp_path / 'benchmark.json').read_text())
    rows = {row['contestant']: row for row in result['rows']}
    assert list(rows) == contestants and all(f'| {name} |' in done.stdout for name in contestants)
    assert rows['simmim']['ratio'] == 1 and rows['simmim']['planning_ms'] is None
    assert all(len(row['seconds']) == 2 for row in rows.values())

    green, limit, simmim = (rows[name] for name in ('greenmim', 'linear-limit', 'simmim'))
    assert green['kept_mib'] < 0.3 * simmim['kept_mib']
    assert rows['greenmim+checkpoint']['kept_mib'] < 0.4 * green['kept_mib']
    assert limit['gmacs'] < green['gmacs'] < 0.3 * simmim['gmacs']
    # four times the units, four times the work; decoder attention adds a little
    assert rows['greenmim@128']['gmacs'] == pytest.approx(4 * green['gmacs'], rel=0.1)
    assert (tmp_path / 'benchmark.png').stat().st_size > 1000


@pytest.mark.parametrize('contestant,message', [
    ('swin', 'the name must be one of greenmim'),
    ('simmim+compile', 'options of simmim are bf16, checkpoint'),
    ('greenmim@big', "the size must be a number of pixels, got 'big'"),
    ('mae-vit@192', 'the config of mae-vit is for 224 px'),
])  # fmt: skip
def test_bad_contestant(contestant, message):
    assert message in refusal(f'{TOOLS}/benchmark_pretrain.py', *SMALL, contestant)


def test_grouping_benchmark(tmp_path):
    run_tool(f'{TOOLS}/benchmark_grouping.py', '--img-sizes', 224, '--mask-ratios', 0.5, 0.75,
             '--masks', 1, '--out', tmp_path)  # fmt: skip
    rows = json.loads((tmp_path / 'grouping.json').read_text())
    assert len(rows) == 12 and (tmp_path / 'grouping.png').stat().st_size > 1000
    for ratio in (0.5, 0.75):
        case = {row['strategy']: row for row in rows if row['mask_ratio'] == ratio}
        bound = case['no padding']['gmacs']
        assert all(row['gmacs'] >= bound for row in case.values())
        assert case['every size']['gmacs'] <= case['released']['gmacs']
        assert case['one group']['gmacs'] > 3 * case['optimal']['gmacs']
        others = ('released', 'one group', 'pad to max')
        assert all(case[name]['gmacs'] > 0 for name in others)
        assert case['optimal']['relative_time'] == 1


@pytest.mark.slow
def test_another_encoder_against_its_dense_self():
    done = run_tool(
        f'{TOOLS}/benchmark_pretrain.py', *SMALL[2:], '--encoder', 'pvt_v2_b2', 'greenmim', 'simmim'
    )
    assert '| greenmim |' in done.stdout and '| simmim |' in done.stdout


@pytest.mark.slow
def test_sparse_convolution_benchmark():
    done = run_tool(f'{TOOLS}/benchmark_sparse_conv.py', '--img-size', 64, '--rounds', 1)
    assert done.stdout.count('depth-wise') == 6 and done.stdout.count('embedding') == 2


@pytest.mark.slow
def test_inference_benchmark():
    """HVT's pools save what the paper says, by GMACs, at any length of the run."""
    contestants = ['hvt_ti_1_in1k', 'hvt_ti_1_in1k+pool=2d']
    options = ['--img-size', 64, '--batch-size', 1, '--rounds', 2, '--warmup', 1]
    done = run_tool(f'{TOOLS}/benchmark_inference.py', *contestants, *options)
    rows = [line.split(' | ') for line in done.stdout.splitlines() if line.startswith('| hvt')]
    assert [row[0] for row in rows] == [f'| {name}' for name in contestants]
    first, pooled = (float(row[4]) for row in rows)
    assert 0 < pooled < first and float(rows[0][2]) == 1

    for name, message in (('hvt', 'no config hvt.py'), ('hvt_s_0_in1k+pool', 'must be KEY=VALUE')):
        assert message in refusal(f'{TOOLS}/benchmark_inference.py', name)

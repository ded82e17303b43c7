import numpy as np
from matplotlib.image import imread

from greenmim_mm.apis import Reconstruction
from greenmim_mm.sparsity import RandomMasking, attention_cost, build_group_plan, token_layout
from greenmim_mm.visualization import (
    plot_detections,
    plot_groups,
    plot_losses,
    plot_reconstructions,
    write_report,
)


def test_groups_sentence_states_what_the_plan_has(tmp_path):
    visible = RandomMasking(0.75)((224, 224), 1, seed=0)
    sentence = plot_groups(visible, 8, 7, 3, tmp_path / 'g.png')
    plan = build_group_plan(token_layout(visible, 8), 7, 3)
    pads = (plan.window_id == -1).float().mean()
    assert f'{plan.num_groups} groups of {plan.group_size} slots ({pads:.1%} padding)' in sentence
    share = attention_cost(plan.num_groups, plan.group_size) / attention_cost(1, 768)
    assert f'{share:.0%} of one group' in sentence
    assert imread(tmp_path / 'g.png').std() > 0


def test_pictures_are_written(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    seen = np.array([[True, False], [False, True]])
    results = [Reconstruction(*[image] * 4, seen) for image in images]
    plot_reconstructions(results, tmp_path / 'r.png')
    mask = np.zeros((64, 64), bool)
    mask[10:30, 10:30] = True
    found = [[(0, mask, 0.9)], [], [(1, mask, 1.0)]]
    plot_detections(images, {'truth': found, 'model': found}, ['a', 'b'], tmp_path / 'd.png')
    plot_losses({'x': [dict(step=1, loss=1.0), dict(step=2, loss=0.5)]}, tmp_path / 'l.png')
    for name in 'rdl':
        assert imread(tmp_path / f'{name}.png').std() > 0


def test_report_is_one_file_and_escapes(tmp_path):
    plot_losses({'x': [dict(step=1, loss=1.0), dict(step=2, loss=0.5)]}, tmp_path / 'l.png')
    table = [['run', 'AP'], ['a < b', '1.0']]
    page = tmp_path / 'report.html'
    write_report(page, 'Title', [('Part', ['text & more', table, tmp_path / 'l.png'])])
    html = page.read_text()
    assert '<td>a &lt; b</td>' in html and 'text &amp; more' in html
    assert 'data:image/png;base64,' in html and 'l.png' not in html

"""demo/tutorial.ipynb, executed at toy size, and what is stored in it."""

import json
import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.tools.conftest import ROOT, environment

NOTEBOOK = ROOT / 'demo/tutorial.ipynb'
SMALL = 'UNLABELLED, TRAIN, VAL = 32, 8, 4\nPRETRAIN_EPOCHS, FINETUNE_EPOCHS = 2, 1\n'


def outputs(notebook):
    for cell in notebook.cells:
        yield from cell.get('outputs', [])


@pytest.mark.slow
def test_tutorial(tmp_path, monkeypatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    parameters = [cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', ())]
    assert len(parameters) == 1
    parameters[0].source = SMALL
    for cell in notebook.cells:  # its files go elsewhere
        cell.source = cell.source.replace("Path('work_dirs/tutorial')", f'Path({str(tmp_path)!r})')
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    NotebookClient(
        notebook, timeout=900, kernel_name='python3', resources=dict(metadata=dict(path=str(ROOT)))
    ).execute()

    pictures = [o for o in outputs(notebook) if 'image/png' in o.get('data', {})]
    assert len(pictures) == 5
    text = ''.join(o.get('text', '') for o in outputs(notebook))
    for word in ('Epoch(train)', 'groups of', 'Average Precision'):
        assert word in text
    shown = [output.data for output in outputs(notebook) if 'data' in output]
    table = next(data['text/markdown'] for data in shown if 'text/markdown' in data)
    assert '| pre-trained |' in table and '| scratch |' in table
    average = re.search(r'all \| maxDets=\S+ ?\] = (\S+)', text)
    study = json.loads((tmp_path / 'study/results.json').read_text())
    of_training = study['results']['pre-trained'][0]['coco/bbox_mAP']
    assert float(average[1]) == pytest.approx(of_training, abs=6e-4)


def test_what_is_stored_was_run_from_top_to_bottom():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type != 'error' for output in outputs(notebook))
    paths = re.findall(r'[ "=](/(?:root|home|work|tmp|Users)/\S*)', NOTEBOOK.read_text())
    assert not paths  # of the machine that ran it

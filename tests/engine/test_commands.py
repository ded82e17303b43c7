import pytest

from greenmim_mm.engine.commands import run_command

SHOW = ['-c', "import os; print('Epoch(train)', os.environ.get('OMP_NUM_THREADS'))"]


@pytest.mark.parametrize('set_to,threads,expected', [
    (None, 0, 'None'), (None, 2, '2'), ('4', 2, '2'), ('1', 2, '1'), ('4', 0, '4'),
])  # fmt: skip
def test_threads_are_no_more_than_asked_for(
    monkeypatch, tmp_path, capsys, set_to, threads, expected
):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if set_to is not None:
        monkeypatch.setenv('OMP_NUM_THREADS', set_to)
    assert run_command(SHOW, tmp_path / 'log', 'run: ', threads)
    assert capsys.readouterr().out == f'    run: Epoch(train) {expected}\n'
    assert (tmp_path / 'log').read_text() == f'Epoch(train) {expected}\n'


def test_warnings_of_the_command_are_shown_whole(tmp_path, capsys):
    warning = '[greenmim_mm] warning: ' + 'x' * 200
    assert run_command(['-c', f'print({warning!r}); print("noise")'], tmp_path / 'log', 'run: ')
    assert capsys.readouterr().out == f'    run: {warning}\n'


def test_a_failure_shows_the_end_of_the_output(tmp_path, capsys):
    assert not run_command(['-c', 'print("last words"); raise SystemExit(3)'], tmp_path / 'log')
    assert 'last words' in capsys.readouterr().err

import pytest

from greenmim_mm.engine.processes import number_of_processes, process_number

VARIABLES = ('WORLD_SIZE', 'RANK', 'SLURM_NTASKS', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


@pytest.mark.parametrize('launcher,variables,expected', [
    ('none', {}, (1, 0)),
    ('none', dict(SLURM_NTASKS='4', SLURM_PROCID='0'), (1, 0)),  # an interactive job
    ('pytorch', dict(WORLD_SIZE='16', RANK='5'), (16, 5)),
    ('slurm', dict(SLURM_NTASKS='4', SLURM_PROCID='3'), (4, 3)),
])  # fmt: skip
def test_known_from_the_launcher_before_the_process_group(
    monkeypatch, launcher, variables, expected
):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (number_of_processes(launcher), process_number()) == expected

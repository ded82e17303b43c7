"""How many processes a run has and which one this is, before the process group exists."""

import os

# the variables that each launcher sets: number of processes, number of this process
_VARIABLES = {
    'pytorch': ('WORLD_SIZE', 'RANK'),
    'slurm': ('SLURM_NTASKS', 'SLURM_PROCID'),
    'mpi': ('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK'),
}


def number_of_processes(launcher: str) -> int:
    """Number of processes of a run.

    Args:
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``, as for mmengine.

    Returns:
        int: 1 without a launcher, or where the launcher's variable is not set.
    """
    return int(os.environ.get(_VARIABLES[launcher][0], 1)) if launcher in _VARIABLES else 1


def process_number() -> int:
    """Number of this process, 0 for the first one and without a launcher."""
    for _, variable in _VARIABLES.values():
        if variable in os.environ:
            return int(os.environ[variable])
    return 0

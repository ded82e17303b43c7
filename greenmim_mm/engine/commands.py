"""Running the command-line tools from a program, with their progress shown."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Sequence

ROOT = Path(__file__).resolve().parents[2]


def find_tool(name: str) -> Path:
    """A script of ``tools/``: in the clone, or where the installed package keeps it.

    Args:
        name (str): For example ``'tools/train.py'``.

    Raises:
        FileNotFoundError: If it is in neither.
    """
    places = [ROOT / name, ROOT / 'greenmim_mm' / '.mim' / name]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f'{name} is neither {places[0]} nor {places[1]}')


def run_command(
    command: Sequence[str], log: Path, label: str = '', threads: int = 0, cwd: Path = ROOT
) -> bool:
    """Run ``python COMMAND``, show its warnings and progress lines, keep all it prints.

    Args:
        command (Sequence[str]): Script and arguments.
        log (Path): File for the whole output.
        label (str): Put before each progress line. Defaults to ''.
        threads (int): CPU threads at the most; 0: as many as the command likes. A smaller
            ``OMP_NUM_THREADS`` holds. Defaults to 0.
        cwd (Path): Folder that it runs in. Defaults to the repository.

    Returns:
        bool: Whether it succeeded; if not, the end of its output is printed.
    """
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    if threads:  # more threads than cores wait for each other: several times slower
        wanted = int(environment.get('OMP_NUM_THREADS') or threads)
        environment['OMP_NUM_THREADS'] = str(min(threads, wanted))
    with open(log, 'w') as file:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=cwd, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        for line in process.stdout:
            file.write(line)
            progress = re.search(
                r'(?:Epoch|Iter)\((?:train|val)\).*|^[^ ]*: \d+ images.*|^    \S.*: Epoch.*', line
            )
            if line.startswith('[greenmim_mm] warning: '):
                print(f'    {label}{line.rstrip()}', flush=True)
            elif progress:
                shown = re.sub(r' (?:base_)?lr: \S+ | data_time: \S+ | acc: .*', '', progress[0])
                print(f'    {label}{shown.strip()[:110]}', flush=True)
    if process.wait():
        print(''.join(log.read_text().splitlines(keepends=True)[-30:]), file=sys.stderr)
    return process.returncode == 0

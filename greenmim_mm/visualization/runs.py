"""Reading what a run left behind."""

import json
from pathlib import Path
from typing import Dict, List


def read_scalars(work_dir: str) -> List[Dict]:
    """All scalars of a run, in order; of a resumed run those of every part.

    Args:
        work_dir (str): Work dir of ``tools/train.py``.

    Returns:
        List[Dict]: One per log line, with ``step`` and what was logged.

    Raises:
        FileNotFoundError: If the run has logged nothing.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'no vis_data/scalars.json below {work_dir}')
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]

"""Reading what a run left behind."""

import json
from pathlib import Path
from typing import Dict, List, Optional


def read_scalars(work_dir: str) -> List[Dict]:
    """All scalars of a run, in order; of a resumed run those of every part.

    Args:
        work_dir (str): Work dir of ``tools/train.py``.

    Returns:
        List[Dict]: One per log line, with ``step`` and what was logged. An undefined metric is
        None: COCO writes -1 where no object has the size or class that it is about.

    Raises:
        FileNotFoundError: If the run has logged nothing.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'no vis_data/scalars.json below {work_dir}')
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [{key: defined(key, value) for key, value in line.items()} for line in lines]


def defined(key: str, value: Optional[float]) -> Optional[float]:
    """A logged value; None for a COCO metric that is negative or NaN, which stands for undefined.

    Args:
        key (str): Name of the scalar.
        value (float, optional): As it was logged.
    """
    if key.startswith('coco/') and value is not None and not value >= 0:
        return None
    return value

"""``torchrun`` that ends as its processes did: with their exit status and no traceback of its own.

    python tools/dist_run.py --nproc_per_node=8 tools/train.py CONFIG --launcher pytorch

The arguments are those of ``torchrun``. ``dist_train.sh`` and ``dist_test.sh`` call it.
"""

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == '__main__':
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            print(f'error: process {rank} was ended by signal {-failure.exitcode}', file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)

"""Check that everything the package needs can be imported, and print the versions.

python tools/check_environment.py
"""

import argparse
import sys
import warnings
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without an install

MODULES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'pycocotools', 'cv2',
           'matplotlib', 'pytest', 'hypothesis', 'xdist', 'ruff', 'mkdocs', 'nbclient')  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--quiet', action='store_true', help='print nothing')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    problems = []
    for name in ('greenmim_mm', *MODULES):
        try:
            module = import_module(name)
        except Exception as error:  # a broken package may raise anything
            problems.append(f'{name}: {error}')
            continue
        if not args.quiet:
            print(f'{name:12s} {getattr(module, "__version__", "")}')
    if not problems:
        try:
            import_module('mmcv.ops')
            import_module('greenmim_mm.models')
        except Exception as error:
            problems.append(f'greenmim_mm.models: {error}')
    if problems:
        if not args.quiet:
            print('cannot import ' + '; '.join(problems), file=sys.stderr)
        sys.exit(1)


if __name__ == '__main__':
    main()

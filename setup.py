"""Install greenmim_mm; ``configs`` and ``tools`` travel along in ``.mim`` for openmim."""

import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def requirements(name):
    """Lines of a requirements file, ``-r`` included."""
    for line in (ROOT / 'requirements' / name).read_text().splitlines():
        if line.startswith('-r '):
            yield from requirements(line[3:])
        elif line and not line.startswith('#'):
            yield line


def add_mim_extension():
    """Put what ``mim train`` looks for below the package: links if editable, else copies."""
    editable = {'develop', 'editable_wheel'} & set(sys.argv)
    if not editable and not {'sdist', 'bdist_wheel', 'install'} & set(sys.argv):
        return
    target = ROOT / 'greenmim_mm' / '.mim'
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in ('configs', 'tools', 'model-index.yml'):
        source = ROOT / name
        if editable:
            (target / name).symlink_to(source)
        elif source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy2(source, target / name)


version = {}
exec((ROOT / 'greenmim_mm' / 'version.py').read_text(), version)
add_mim_extension()
setup(
    name='greenmim_mm',
    version=version['__version__'],
    description='Pre-training of hierarchical vision transformers (GreenMIM) on OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['greenmim_mm', 'greenmim_mm.*']),
    include_package_data=True,
    python_requires='>=3.10',
    install_requires=list(requirements('runtime.txt')),
    extras_require=dict(
        tests=list(requirements('tests.txt')),
        docs=list(requirements('docs.txt')),
        optional=list(requirements('optional.txt')),
    ),
)

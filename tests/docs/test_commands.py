"""Every command that the documentation shows, run as it is printed, in a small clone.

A page is run from its top to its bottom: commands, Python examples, and files that it tells to
write. What is replaced on the way is in ``SUBSTITUTES``; what is not run, in ``NOT_RUN``, each
with its reason.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys

import pytest

from tests.docs.sandbox import make_clone
from tests.tools.conftest import ROOT

pytestmark = pytest.mark.slow

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *ROOT.glob('docs/**/*.md'),
                 *ROOT.glob('configs/*/README.md')]
    if '```bash' in path.read_text() or '```python' in path.read_text()
)  # fmt: skip

SUBSTITUTES = [
    (r'/your/', '{clone}/your/'),  # the user's folder
    (r'epoch_\d+\.pth', 'epoch_1.pth'),  # the small configs stop there
    (r'(train_cfg\.max_epochs)=\d+ param_scheduler\.1\.end=\d+', r'\1=1'),
    (r'(dist_train\.sh \S+|dist_test\.sh \S+ \S+) 8\b', r'\1 {processes}'),
    (r'(dist_train\.sh \S+) 2\b', r'\1 1'),  # these show options; two processes were above
    (r'(train_dataloader\.batch_size)=128', r'\1=2'),  # there are eight images
    (r'--seeds [\d ]+', '--seeds 0 '),
    (r'(--pretrained) short=\S+', r'\1'),  # one checkpoint and scratch
    (r'(benchmark_pretrain\.py .*)', r'\1 --arch tiny --img-size 64 --batch-size 1 --rounds 2'),
    (r' \S+\+compile', ''),  # a minute of a compiler
    (r'(benchmark_grouping\.py.*)', r'\1 --img-sizes 224 --masks 1'),
    (r'(benchmark_sparse_conv\.py.*)', r'\1 --img-size 64 --rounds 2'),
    (r'(benchmark_inference\.py.*)', r'\1 hvt_ti_1_in1k --img-size 64 --rounds 2'),
    (r'MASTER_ADDR=10\.0\.0\.1 PORT=29500', 'MASTER_ADDR=127.0.0.1'),  # PORT: a free one is set
]

NOT_RUN = {
    'pip install': 'changes the environment; its versions are compared with the lock file',
    'make ': 'this is a test of `make test` itself; make -n says that the target is there',
}


def test_something_is_found():
    assert {'README.md', 'docs/tutorials/own_detector.md', 'configs/hvt/README.md'} <= set(PAGES)


def blocks(text):
    """(language, code, paragraph before it) of every fenced block of bash or Python."""
    parts = text.split('```')  # text, block, text, block, ...
    for before, block in zip(parts[::2], parts[1::2]):
        language, code = block.split('\n', 1)
        if language in ('bash', 'python'):
            yield language, code, before.strip().split('\n\n')[-1]


def commands(code):
    """Commands of a block: comments away, continued lines joined."""
    code = re.sub(r'(^|\s+)#.*', '', code.replace('\\\n', ' '), flags=re.M)
    return [' '.join(line.split()) for line in code.splitlines() if line.strip()]


@pytest.fixture
def environment(tmp_path):
    """``python`` is this one; ``srun`` runs what it is given, once, and says how it was called."""
    programs = tmp_path / 'bin'
    programs.mkdir()
    (programs / 'python').write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (programs / 'srun').write_text(
        '#!/bin/bash\necho "srun $*"\nwhile [ "${1:0:1}" = - ]; do\n'
        '  [ "$1" = -p ] && shift\n  shift\ndone\nexec "${@/slurm/none}"\n'
    )
    for file in programs.iterdir():
        file.chmod(0o755)
    path = f'{programs}{os.pathsep}{os.environ["PATH"]}'
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        port = str(listener.getsockname()[1])
    return {**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': '', 'PORT': port}


def run(command, clone, environment):
    done = subprocess.run(
        ['bash', '-c', command], cwd=clone, env=environment, capture_output=True, text=True,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, f'$ {command}\n{(done.stdout + done.stderr)[-3000:]}'
    return done.stdout


def run_command(command, clone, environment, processes):
    """One line of a page; what it stands for on several machines."""
    if command.startswith('pip install') or command.startswith('make '):
        assert any(command.startswith(start) for start in NOT_RUN)
        lock = (ROOT / 'requirements/lock.txt').read_text()
        for pinned in re.findall(r'[\w-]+==[\w.]+', command):
            assert pinned in lock, f'{command}: requirements/lock.txt has another version'
        if command.startswith('make '):
            run(f'make -n VENV=/nowhere {command[5:]}', clone, environment)
        return
    for pattern, replacement in SUBSTITUTES:
        values = dict(clone=clone, processes=processes)
        for name, value in values.items():
            replacement = replacement.replace(f'{{{name}}}', str(value))
        command = re.sub(pattern, replacement, command)
    if 'NNODES=2' in command:  # both nodes are this machine
        other = command.replace('NODE_RANK=0', 'NODE_RANK=1')
        command = f'{other} --work-dir node_1 & {command} && wait $!'
    output = run(command, clone, environment)
    if 'slurm_train' in command:
        assert '--ntasks=16' in output


def run_python(code, said, clone, environment):
    """A file to write, a config, or a program."""
    for pattern, replacement in SUBSTITUTES[:2]:
        code = re.sub(pattern, replacement.format(clone=clone), code)
    name = re.findall(r'`(\w+\.py)`', said)
    if name:
        (clone / name[0]).write_text(code)
    elif re.match(r'_base_|custom_imports', code):
        (clone / 'example.py').write_text(code)
        build = (
            'import greenmim_mm\nfrom greenmim_mm.registry import HOOKS, MODELS\n'
            'from mmengine.config import Config\ncfg = Config.fromfile("example.py")\n'
            'cfg.model.backbone.init_cfg = None\nMODELS.build(cfg.model.backbone)\n'
            'for hook in cfg.get("custom_hooks", []): HOOKS.build(hook)\n'
        )
        run(f'python -c {shlex.quote(build)}', clone, environment)
    else:
        shutil.copy(next(clone.glob('work_dirs/*pretrain/epoch_1.pth')), clone)
        run(f'python -c {shlex.quote(code)}', clone, environment)


@pytest.mark.parametrize('page', [page for page in PAGES if page != 'docs/add_a_backbone.md'])
def test_page(page, toy, tmp_path, environment):
    """All blocks of a page, in their order."""
    text = (ROOT / page).read_text()
    clone = tmp_path / 'clone'
    clone.mkdir()
    make_clone(toy, clone, text)
    for language, code, said in blocks(text):
        if language == 'python':
            run_python(code, said, clone, environment)
            continue
        for command in commands(code):
            # two processes where that is the point, one elsewhere
            processes = 2 if 'tutorials' in page and 'NNODES' not in command else 1
            run_command(command, clone, environment, processes)

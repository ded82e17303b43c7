"""Does pre-training help? The same config from several starts, over several seeds.

    python tools/analysis_tools/transfer_study.py configs/greenmim/mask_rcnn_swin_b_coco.py \\
        --pretrained work_dirs/swin_b_pretrain/epoch_800.pth --seeds 0 1 2 --auto-scale-lr

Every start (random initialisation, and each checkpoint) gets the same seeds, data and budget;
per seed, everything but the backbone starts alike. A second checkpoint is another
--pretrained NAME=FILE. Runs that were finished are not repeated, one that was interrupted resumes.
Writes results.json, results.md and results.png into --work-dir.
"""

import argparse
import json
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.commands import ROOT, find_tool, run_command
from greenmim_mm.engine.errors import run_or_explain

SCRATCH = 'scratch'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='classification, detection or segmentation config')
    parser.add_argument(
        '--pretrained', nargs='+', required=True, metavar='[NAME=]FILE',
        help='checkpoints whose backbone.* the backbone starts from',
    )  # fmt: skip
    parser.add_argument('--no-scratch', action='store_true', help='leave random initialisation out')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/study_CONFIG')
    parser.add_argument('--jobs', type=int, default=1, help='runs side by side')
    parser.add_argument('--metrics', nargs='+', help='as logged; default: the main ones')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='for every run, as for tools/train.py'
    )
    args = parser.parse_args()
    args.work_dir = args.work_dir or Path('work_dirs') / f'study_{Path(args.config).stem}'
    starts = {}
    for start in args.pretrained:
        name, separator, file = start.rpartition('=')
        name = name if separator else 'pre-trained'
        if name in starts or name == SCRATCH:
            parser.error(f'--pretrained: the name {name!r} is taken; give NAME=FILE')
        if not Path(file).is_file():
            parser.error(f'--pretrained: no file {file}')
        starts[name] = str(Path(file).resolve())
    args.starts = {**starts, **({} if args.no_scratch else {SCRATCH: None})}
    for name, values in (('--seeds', args.seeds), ('--jobs', [args.jobs])):
        if min(values) < 0 or len(set(values)) < len(values) or args.jobs < 1:
            parser.error(f'{name} must be different whole numbers from 0, --jobs from 1')
    return args


def check_settings(args: argparse.Namespace) -> None:
    """A folder belongs to one config and its options: results of two must not mix."""
    settings = dict(config=os.path.abspath(args.config), cfg_options=args.cfg_options)
    if args.auto_scale_lr:
        settings['auto_scale_lr'] = True
    file = args.work_dir / 'study.json'
    if file.is_file():
        before = json.loads(file.read_text())
        if before != settings:
            raise CheckError(
                f'{args.work_dir} holds runs of other settings:\n  {before}\nasked for are\n  '
                f'{settings}\nChoose another --work-dir, or remove that one.'
            )
    args.work_dir.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings))


def run(name: str, seed: int, args: argparse.Namespace) -> Dict[str, Optional[float]]:
    """Metrics of one run; from its file if it was finished before."""
    from greenmim_mm.visualization import defined, last_evaluation

    folder = args.work_dir / name / f'seed_{seed}'
    checkpoint, done = args.starts[name], folder / 'done.json'
    if done.is_file():
        result = json.loads(done.read_text())
        if result['checkpoint'] != checkpoint:
            raise CheckError(
                f'{folder} started from {result["checkpoint"]}, not from {checkpoint}: choose '
                'another name (--pretrained NAME=FILE) or --work-dir'
            )
        print(f'    {name}, seed {seed}: finished before', flush=True)
        return {key: defined(key, value) for key, value in result['metrics'].items()}
    folder.mkdir(parents=True, exist_ok=True)
    options = [*args.cfg_options, f'randomness.seed={seed}']
    start = ['--pretrained', checkpoint]
    scale = ['--auto-scale-lr'] if args.auto_scale_lr else []
    if checkpoint is None:
        start, options = [], [*options, 'model.backbone.init_cfg=None']
    command = [
        str(find_tool('tools/train.py')), os.path.abspath(args.config), '--work-dir',
        str(folder.resolve()), '--resume', *start, *scale, '--cfg-options', *options,
    ]  # fmt: skip
    print(f'$ python {shlex.join(command)}', flush=True)
    threads = max(1, (os.cpu_count() or 1) // args.jobs) if args.jobs > 1 else 0
    if not run_command(command, folder / 'run.log', f'{name}, seed {seed}: ', threads, Path.cwd()):
        raise CheckError(f'the run in {folder} failed; its output is in run.log')
    metrics = last_evaluation(folder)
    done.write_text(json.dumps(dict(checkpoint=checkpoint, metrics=metrics)))
    return metrics


def main() -> None:
    args = parse_args()
    check_settings(args)
    runs = [(name, seed) for seed in args.seeds for name in args.starts]
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(run, name, seed, args) for name, seed in runs]
        try:
            metrics = [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise

    from greenmim_mm.visualization import plot_study, study_table

    results: Dict[str, List[Dict]] = {name: [] for name in args.starts}
    for (name, _), values in zip(runs, metrics):
        results[name].append(values)
    table = study_table(results, args.metrics)
    script = Path(sys.argv[0]).resolve()
    script = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script
    command = shlex.join([str(script), *sys.argv[1:]])
    (args.work_dir / 'results.json').write_text(
        json.dumps(dict(command=command, seeds=args.seeds, results=results), indent=1)
    )
    (args.work_dir / 'results.md').write_text(f'```bash\npython {command}\n```\n\n{table}\n')
    plot_study(results, args.work_dir / 'results.png', args.metrics)
    print(f'\n{table}\n\nwritten: {args.work_dir}/results.json, results.md, results.png')


if __name__ == '__main__':
    run_or_explain(main)

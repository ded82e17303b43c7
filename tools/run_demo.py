"""The demo: from unlabelled images to COCO AP at toy size, and a report.

    make demo

Steps: draw data, pre-train on unlabelled images, fine-tune and evaluate Mask R-CNN from the
pre-trained weights and from random initialisation (same seed and budget; ``--seeds 0 1 2`` repeats
both), write ``work_dirs/demo/report.html``. A step that was finished before is not run again;
``--fresh`` starts over. Every step is a command that can be run by hand; it is printed.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without an install

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.commands import ROOT, run_command
from greenmim_mm.engine.errors import run_or_explain

PRETRAIN_CONFIG = 'configs/greenmim/swin_demo_pretrain.py'
FINETUNE_CONFIG = 'configs/greenmim/mask_rcnn_swin_demo_coco.py'
METRICS = ('coco/bbox_mAP', 'coco/bbox_mAP_50', 'coco/segm_mAP', 'coco/segm_mAP_50')
STARTS = ('pre-trained', 'scratch')


class Demo:
    """The steps, their folders and what they cost."""

    def __init__(self, out: Path, options: argparse.Namespace) -> None:
        self.out = out
        self.options = options
        self.data = out / 'data'
        self.pretrain_dir = out / 'pretrain'
        self.study = out / 'study'
        self.seconds: Dict[str, float] = {}

    def run(self, name: str, folder: Path, command: List[str]) -> None:
        """Run a command, unless it was finished before with the same arguments.

        Args:
            name (str): Of the step.
            folder (Path): Folder that it fills.
            command (List[str]): Script and arguments.
        """
        print(f'\n=== {name}\n$ python {shlex.join(command)}', flush=True)
        stamp = folder / 'demo_step.json'
        if stamp.is_file():
            done = json.loads(stamp.read_text())
            if done['command'] == command:
                print('    finished before; --fresh runs it again')
                self.seconds[name] = done['seconds']
                return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.time()
        if not run_command(command, folder / 'demo_step.log'):
            raise CheckError(f'{name} failed; the output is above')
        self.seconds[name] = time.time() - start
        stamp.write_text(json.dumps(dict(command=command, seconds=self.seconds[name])))

    def make_data(self) -> None:
        numbers = self.options
        self.run('1/4 data', self.data, [
            'tools/dataset_converters/make_toy_coco.py', str(self.data),
            '--unlabelled', str(numbers.unlabelled),
            '--train', str(numbers.train), '--val', str(numbers.val),
        ])  # fmt: skip

    def pretrain(self) -> None:
        epochs = self.options.pretrain_epochs
        self.run('2/4 pre-training', self.pretrain_dir, [
            'tools/train.py', PRETRAIN_CONFIG, '--work-dir', str(self.pretrain_dir),
            '--cfg-options', f'train_dataloader.dataset.data_root={self.data}/unlabelled',
            f'train_cfg.max_epochs={epochs}', f'param_scheduler.1.end={epochs}',
        ])  # fmt: skip

    @property
    def checkpoint(self) -> Path:
        return self.pretrain_dir / f'epoch_{self.options.pretrain_epochs}.pth'

    def finetune(self) -> None:
        """Both starts side by side: two small runs keep two cores busier than one after another."""
        epochs = self.options.finetune_epochs
        self.run('3/4 Mask R-CNN from both starts', self.study, [
            'tools/analysis_tools/transfer_study.py', FINETUNE_CONFIG,
            '--pretrained', str(self.checkpoint), '--seeds', *map(str, self.options.seeds),
            '--jobs', '2', '--work-dir', str(self.study), '--metrics', *METRICS, '--cfg-options',
            f'train_dataloader.dataset.data_root={self.data}/',
            f'val_dataloader.dataset.data_root={self.data}/',
            f'val_evaluator.ann_file={self.data}/annotations/instances_val.json',
            f'train_cfg.max_epochs={epochs}', f'train_cfg.val_interval={epochs}',
            f'param_scheduler.1.end={epochs}', f'default_hooks.checkpoint.interval={epochs}',
        ])  # fmt: skip

    def run_dir(self, name: str) -> Path:
        """The first run from a start."""
        return self.study / name / f'seed_{self.options.seeds[0]}'

    def report(self) -> Path:
        print('\n=== 4/4 report', flush=True)
        start = time.time()
        from greenmim_mm.compat.safe_load import load_safely_in_mmengine
        from greenmim_mm.engine.launch import import_quietly

        load_safely_in_mmengine()
        import_quietly()
        sections = [self._ap_section(), self._pretrain_section(), self._groups_section(),
                    self._detection_section()]  # fmt: skip
        self.seconds['4/4 report'] = time.time() - start
        from greenmim_mm.visualization import write_report

        sections.append(self._cost_section())
        path = self.out / 'report.html'
        write_report(str(path), 'From unlabelled images to COCO AP', sections)
        return path

    def _ap_section(self) -> Tuple[str, list]:
        from greenmim_mm.visualization import plot_losses, read_scalars, study_table

        results = json.loads((self.study / 'results.json').read_text())['results']
        markdown = study_table(results, METRICS)
        print('    ' + markdown.replace('\n', '\n    '))
        runs = {name: read_scalars(self.run_dir(name)) for name in STARTS}
        plot_losses(runs, self.out / 'finetune_loss.png')
        rows, note = markdown.split('\n\n')
        table = [
            [cell.strip() for cell in row.strip('| ').split(' | ')] for row in rows.splitlines()
        ]
        text = (
            f'Mask R-CNN from two starts with the same seeds, data ({self.options.train} labelled '
            'images) and budget; only the initial backbone differs. COCO AP on '
            f'{self.options.val} validation images. {note}'
        )  # fmt: skip
        return 'Detection and segmentation', [
            text, [table[0], *table[2:]], self.study / 'results.png', self.out / 'finetune_loss.png'
        ]  # fmt: skip

    def _pretrain_section(self) -> Tuple[str, list]:
        from greenmim_mm.apis import GreenMIMInferencer
        from greenmim_mm.visualization import plot_losses, plot_reconstructions, read_scalars

        plot_losses({'pre-training': read_scalars(self.pretrain_dir)}, self.out / 'loss.png')
        inferencer = GreenMIMInferencer(str(ROOT / PRETRAIN_CONFIG), str(self.checkpoint))
        images = sorted((self.data / 'val').glob('*.jpg'))[:7]
        results = inferencer(images)['predictions']
        plot_reconstructions(results, self.out / 'reconstructions.png')
        text = (
            f'GreenMIM on {self.options.unlabelled} images without labels: three quarters of the '
            'mask units are hidden, the encoder runs on the others only, and the decoder '
            'predicts the pixels of the hidden ones (normalised per unit; shown with the '
            'statistics of the original). The images below are from the validation set.'
        )
        return 'Pre-training', [text, self.out / 'loss.png', self.out / 'reconstructions.png']

    def _groups_section(self) -> Tuple[str, list]:
        from greenmim_mm.sparsity import RandomMasking
        from greenmim_mm.visualization import plot_groups

        visible = RandomMasking(0.75)((224, 224), 1, seed=0)
        path = self.out / 'groups.png'
        text = plot_groups(visible, side=8, window=7, shift=3, path=path)
        first = 'Stage 1 of Swin (window 7, shifted) on a 224 px image, mask ratio 0.75: '
        return 'How windows were grouped', [first + text, path]

    def _detection_section(self) -> Tuple[str, list]:
        import cv2
        from mmdet.apis import inference_detector, init_detector
        from pycocotools.coco import COCO

        from greenmim_mm.visualization import plot_detections

        truth = COCO(str(self.data / 'annotations/instances_val.json'))
        ids = truth.getImgIds()[:6]
        files = [self.data / 'val' / truth.loadImgs(i)[0]['file_name'] for i in ids]
        images = [cv2.imread(str(f))[:, :, ::-1] for f in files]
        classes = [c['name'] for c in truth.loadCats(truth.getCatIds())]
        rows = {'ground truth': [
            [(a['category_id'] - 1, truth.annToMask(a), 1.0) for a in truth.imgToAnns[i]]
            for i in ids
        ]}  # fmt: skip
        for name in STARTS:
            work_dir = self.run_dir(name)
            model = init_detector(
                str(work_dir / Path(FINETUNE_CONFIG).name),
                str(work_dir / f'epoch_{self.options.finetune_epochs}.pth'),
                device='cpu',
                cfg_options={'model.backbone.init_cfg': None},
            )
            rows[name] = []
            for file in files:
                found = inference_detector(model, str(file)).pred_instances
                found = found[: len(rows['ground truth'][len(rows[name])])]  # best first
                rows[name].append([
                    (int(label), mask.numpy(), float(score))
                    for label, mask, score in zip(found.labels, found.masks, found.scores)
                ])  # fmt: skip
        text = (
            'Validation images; of every model as many detections as there are objects, best first.'
        )
        path = self.out / 'detections.png'
        plot_detections(images, rows, classes, path)
        return 'What they find', [text, path]

    def _cost_section(self) -> Tuple[str, list]:
        table = [['step', 'seconds']]
        table += [[name, f'{seconds:.0f}'] for name, seconds in self.seconds.items()]
        text = f'Wall time ({os.cpu_count()} cores); the two fine-tunings ran side by side.'
        return 'What it took', [text, table]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs/demo', help='folder to write')
    parser.add_argument('--fresh', action='store_true', help='forget what was finished before')
    for name, default in (('unlabelled', 2000), ('train', 240), ('val', 96),
                          ('pretrain-epochs', 16), ('finetune-epochs', 8)):  # fmt: skip
        parser.add_argument(f'--{name}', type=int, default=default, help=f'default {default}')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='default 0')
    args = parser.parse_args()
    if args.pretrain_epochs < 2:  # the first one warms up
        parser.error(f'--pretrain-epochs must be at least 2, got {args.pretrain_epochs}')
    out = Path(os.path.relpath(args.out, ROOT))  # mmengine's options split paths at commas
    os.chdir(ROOT)
    if args.fresh:
        shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)

    demo = Demo(out, args)
    start = time.time()
    demo.make_data()
    demo.pretrain()
    demo.finetune()
    path = demo.report()
    print(f'\nReport: {path.resolve()}\n(this call: {time.time() - start:.0f} s)')


if __name__ == '__main__':
    run_or_explain(main)

"""Speed and memory of pre-training steps, side by side.

    python tools/analysis_tools/benchmark_pretrain.py
    python tools/analysis_tools/benchmark_pretrain.py --batch-size 32 greenmim greenmim+per-image
    python tools/analysis_tools/benchmark_pretrain.py greenmim@224 greenmim@512 greenmim@1024

A step is forward and backward, without the optimizer. The contestants take turns, one step
each per round, so that a slow moment of the machine hits all of them; the ratio is the median
over the rounds of the ratio within a round. Prints a Markdown table; ``--out`` adds
``benchmark.json`` and ``benchmark.png``.

Another encoder against the same one trained by SimMIM, dense:

    python tools/analysis_tools/benchmark_pretrain.py --encoder twins_svt_l greenmim simmim

A contestant is NAME[+OPTION...][@SIZE], for example ``greenmim+bf16@512``:

  greenmim      GreenMIM on Swin, window 7
  linear-limit  the same without attention: every linear layer, norm and GELU on the visible
                tokens, as torch has them. What no implementation passes without recomputing
                less or changing precision
  simmim        SimMIM on the same Swin (MMPretrain), every token through the encoder
  mae-vit, mae-hivit, mixmim   MMPretrain's own configs (base size, 224 px)

Options: bf16 (autocast), compile (torch.compile of the blocks; greenmim and linear-limit),
per-image (one mask per image; greenmim), checkpoint (keeps the input of each block only;
greenmim, linear-limit, simmim).
"""

import argparse
import json
import platform
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # works without an install

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.utils import get_installed_path
from mmpretrain.datasets.transforms import SimMIMMaskGenerator
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from greenmim_mm.engine.checks import CheckError
from greenmim_mm.engine.errors import run_or_explain
from greenmim_mm.engine.launch import import_quietly, keep_freed_memory
from greenmim_mm.models import GreenSwinTransformer
from greenmim_mm.models.backbones.green_swin import window_shift
from greenmim_mm.sparsity import build_group_plan

ROOT = Path(__file__).resolve().parents[2]
PEERS = {
    'simmim': 'simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py',
    'mae-vit': 'mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
    'mae-hivit': 'mae/mae_hivit-base-p16_8xb512-amp-coslr-400e_in1k.py',
    'mixmim': 'mixmim/mixmim_mixmim-base_16xb128-coslr-300e_in1k.py',
}
OURS = ('greenmim', 'linear-limit')
OPTIONS = {
    'bf16': (*OURS, *PEERS),
    'compile': OURS,
    'per-image': ('greenmim',),
    'checkpoint': (*OURS, 'simmim'),
}
MIB = 2**20


def run_block_without_attention(block: nn.Module, x: Tensor, index) -> Tensor:
    """A ``SwinBlock`` whose attention hands on the values of each token itself."""
    attention = block.attn.w_msa
    x = x + attention.proj(attention.qkv(block.norm1(x))[..., -x.shape[-1] :])
    return block.ffn(block.norm2(x), identity=x)


@contextmanager
def raise_on_synchronization(enabled: bool) -> Iterator[None]:
    """Within the context an operation that waits for the device is an error."""
    if enabled:
        torch.cuda.set_sync_debug_mode('error')
    yield
    if enabled:
        torch.cuda.set_sync_debug_mode('default')


class MaskedInput(nn.Module):
    """SimMIM's view of an encoder without a mask token: hidden pixels get a learned colour.

    Args:
        encoder (dict): Runs dense, on the whole image.
    """

    def __init__(self, encoder: dict) -> None:
        super().__init__()
        self.encoder = MODELS.build(encoder)
        self.colour = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, images: Tensor, mask: Tensor) -> Sequence[Tensor]:
        hidden = mask.repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(1).bool()
        return self.encoder(torch.where(hidden, self.colour.to(images.dtype), images))


class Contestant:
    """A model and its step.

    Args:
        spec (str): NAME[+OPTION...][@SIZE].
        args (argparse.Namespace): The command's arguments.
    """

    def __init__(self, spec: str, args: argparse.Namespace) -> None:
        self.spec = spec
        head, _, size = spec.partition('@')
        self.name, *self.options = head.split('+')
        if args.precision == 'bf16' and 'bf16' not in self.options:
            self.options.append('bf16')
        self._check(size, args)
        self.size = int(size or args.img_size)
        self.device = torch.device(args.device)
        self.batch = args.batch_size
        self.check_sync = args.check_sync and self.name in OURS

        torch.manual_seed(0)
        self.model = self._build(args).to(self.device).train()
        if self.name == 'linear-limit':
            backbone = self.model.backbone
            backbone.run_block = run_block_without_attention
            if self.has('compile'):
                backbone._compiled_block = torch.compile(run_block_without_attention)
        self.images = torch.randn(self.batch, 3, self.size, self.size).to(self.device)
        self.samples = self._samples()
        self.seconds: List[float] = []

    def has(self, option: str) -> bool:
        return option in self.options

    def _check(self, size: str, args: argparse.Namespace) -> None:
        names = (*OURS, *PEERS)
        if self.name not in names:
            raise CheckError(f'{self.spec}: the name must be one of {", ".join(names)}')
        swin_only = 'compile' in self.options or self.name == 'linear-limit'
        if args.encoder is not None and swin_only:
            raise CheckError(f'{self.spec}: for Swin only, not with --encoder {args.encoder}')
        for option in self.options:
            if self.name not in OPTIONS.get(option, ()):
                allowed = [name for name, of in OPTIONS.items() if self.name in of]
                raise CheckError(f'{self.spec}: options of {self.name} are {", ".join(allowed)}')
        if size and not size.isdigit():
            raise CheckError(f'{self.spec}: the size must be a number of pixels, got {size!r}')

    def _build(self, args: argparse.Namespace) -> nn.Module:
        package = Path(get_installed_path('mmpretrain')) / '.mim/configs'
        stem = args.encoder or 'swin_b'
        ours = Config.fromfile(ROOT / f'configs/greenmim/{stem}_pretrain.py').model
        if args.encoder is None:
            ours.backbone.arch = args.arch
            ours.neck.in_channels = GreenSwinTransformer.arch_zoo[args.arch]['embed_dims'] * 8
        cfg = ours if self.name in OURS else Config.fromfile(package / PEERS[self.name]).model
        if self.name in OURS:
            cfg.per_image = self.has('per-image')
            if self.has('compile'):
                cfg.backbone.compile_blocks = True
        elif self.name == 'simmim':
            cfg.neck.in_channels = ours.neck.in_channels
            if args.encoder is None:
                window = 6 if self.size == 192 else 7  # as in the papers
                cfg.backbone.update(arch=args.arch, img_size=self.size)
                cfg.backbone.stage_cfgs.block_cfgs.update(
                    window_size=window, pad_small_map=self.size < 32 * window
                )
            else:
                cfg.backbone = dict(type=MaskedInput, encoder=ours.backbone)
        elif self.size != 224:
            raise CheckError(f'{self.spec}: the config of {self.name} is for 224 px')
        if self.has('checkpoint'):
            cfg.backbone.with_cp = True
        cfg.data_preprocessor = dict(type='mmpretrain.SelfSupDataPreprocessor')
        return MODELS.build(cfg)

    def _samples(self) -> Optional[List[DataSample]]:
        if self.name != 'simmim':
            return None
        generate = SimMIMMaskGenerator(input_size=self.size)
        masks = [generate({})['mask'] for _ in range(self.batch)]
        return [DataSample(mask=torch.from_numpy(mask).to(self.device)) for mask in masks]

    def forward(self, count: Optional[int] = None) -> Tensor:
        """Loss of the first ``count`` images, or of all."""
        samples = self.samples and self.samples[:count]
        dtype = torch.bfloat16 if self.has('bf16') else None
        with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
            return self.model.loss(self.images[:count], samples)['loss']

    def step(self, iteration: int) -> float:
        """Seconds of one forward and backward; masks differ from step to step."""
        MessageHub.get_current_instance().update_info('iter', iteration)
        self.model.zero_grad(set_to_none=True)
        self._synchronize()
        start = time.perf_counter()
        with raise_on_synchronization(self.check_sync):
            self.forward().backward()
        self._synchronize()
        return time.perf_counter() - start

    def _synchronize(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize()

    def memory(self) -> Dict[str, float]:
        """MiB that another image leaves for the backward; MiB at the peak of a step.

        The first is a difference between batches, so that what does not grow with
        the batch (bf16 copies of the weights, plans) is not counted.
        """
        kept = self._kept(self.batch)
        if self.batch > 1:
            kept = (kept - self._kept(1)) / (self.batch - 1)
        self.model.zero_grad(set_to_none=True)
        weights = sum(p.numel() * p.element_size() for p in self.model.parameters())
        if self.device.type == 'cuda':
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.forward().backward()
            peak = torch.cuda.max_memory_allocated() - before
        else:
            peak = running_maximum(allocations(lambda: self.forward().backward()))
        self.model.zero_grad(set_to_none=True)
        return dict(kept_mib=kept / MIB, peak_mib=(weights + peak) / MIB)

    def _kept(self, count: int) -> int:
        """Bytes that the forward of ``count`` images leaves for the backward."""
        if self.device.type != 'cuda':
            return sum(allocations(lambda: self.forward(count)))
        before = torch.cuda.memory_allocated()
        loss = self.forward(count)
        kept = torch.cuda.memory_allocated() - before
        del loss
        return kept

    def macs(self) -> Optional[float]:
        """Multiply-adds of the matrix products of a forward, per image, in units of 1e9."""
        if self.has('compile'):
            return None  # the counter does not see into compiled code
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.forward()
        return counter.get_total_flops() / 2e9 / self.batch

    def planning(self, repeats: int = 20) -> Optional[float]:
        """Milliseconds for the mask and every plan of a step."""
        if self.name != 'greenmim' or not isinstance(self.model.backbone, GreenSwinTransformer):
            return None
        backbone, seconds = self.model.backbone, []
        for iteration in range(repeats):
            start = time.perf_counter()
            visible = self.model.draw_visible(self.images, iteration)
            for stage, layout in zip(backbone.stages, backbone.layouts(visible)):
                for kind in {window_shift(block.attn, layout.grid) for block in stage.blocks}:
                    build_group_plan(layout, *kind)
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds) * 1e3


def allocations(function: Callable) -> List[int]:
    """Bytes that a function allocates (positive) and frees (negative) on the CPU, in order.

    What the function returns is freed after the last entry.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = function()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == '[memory]']
    del result
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def running_maximum(changes: List[int]) -> int:
    total = maximum = 0
    for change in changes:
        total += change
        maximum = max(maximum, total)
    return maximum


def measure(contestants: List[Contestant], args: argparse.Namespace) -> List[Dict]:
    """Interleave the steps and collect a row per contestant."""
    for iteration in range(args.warmup):
        for contestant in contestants:
            contestant.step(iteration)
    for iteration in range(args.warmup, args.warmup + args.rounds):
        for contestant in contestants:
            contestant.seconds.append(contestant.step(iteration))
        print(f'round {iteration - args.warmup + 1} of {args.rounds}', file=sys.stderr)
    reference = contestants[[c.spec for c in contestants].index(args.reference)]
    rows = []
    for contestant in contestants:
        ratios = [
            (contestant.batch / own) / (reference.batch / other)
            for own, other in zip(contestant.seconds, reference.seconds)
        ]
        rows.append(
            dict(
                contestant=contestant.spec,
                img_size=contestant.size,
                images_per_second=contestant.batch / statistics.median(contestant.seconds),
                ratio=statistics.median(ratios),
                ratio_quartiles=statistics.quantiles(ratios, n=4)[::2] if len(ratios) > 1 else None,
                gmacs=contestant.macs(),
                planning_ms=contestant.planning(),
                seconds=contestant.seconds,
                **({} if args.no_memory else contestant.memory()),
            )
        )
    return rows


def as_table(rows: List[Dict], reference: str) -> str:
    columns = {
        'contestant': ('contestant', '{}'),
        'images_per_second': ('images/s', '{:.2f}'),
        'ratio': (f'x {reference}', '{:.3f}'),
        'ratio_quartiles': ('quartiles', '{0[0]:.3f} .. {0[1]:.3f}'),
        'kept_mib': ('kept for backward, MiB/image', '{:.1f}'),
        'peak_mib': ('peak, MiB', '{:.0f}'),
        'gmacs': ('forward GMACs/image', '{:.2f}'),
        'gmacs_ratio': (f'x {reference} by GMACs', '{:.3f}'),
        'planning_ms': ('planning, ms', '{:.2f}'),
    }
    columns = {key: value for key, value in columns.items() if any(row.get(key) for row in rows)}
    lines = [[title for title, _ in columns.values()], ['---'] * len(columns)]
    for row in rows:
        lines.append(
            ['-' if row.get(key) is None else f.format(row[key]) for key, (_, f) in columns.items()]
        )
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def describe_machine(args: argparse.Namespace) -> str:
    if args.device.startswith('cuda'):
        name = torch.cuda.get_device_name()
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        name = f'{platform.machine()} CPU ({capability}), {torch.get_num_threads()} threads'
    return f'{name}; torch {torch.__version__}; batch {args.batch_size}; {args.rounds} rounds'


def plot(rows: List[Dict], title: str, path: Path) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    labels = [row['contestant'] for row in rows][::-1]
    panels = {'images_per_second': 'images/s', 'kept_mib': 'kept for backward, MiB/image'}
    panels = {key: label for key, label in panels.items() if key in rows[0]}
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(5 * len(panels), 0.8 + 0.4 * len(rows)), squeeze=False
    )
    for axis, (key, label) in zip(axes[0], panels.items()):
        values = [row[key] for row in rows][::-1]
        axis.bar_label(axis.barh(labels, values, color='#3b7d4f'), fmt='%.1f', padding=3)
        axis.set_xlabel(label)
        axis.margins(x=0.15)
        axis.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'contestants', nargs='*', default=['greenmim', 'linear-limit', 'simmim'], help='see above'
    )
    parser.add_argument('--reference', help='contestant to divide by; default: the last one')
    parser.add_argument('--arch', default='base', choices=['tiny', 'small', 'base', 'large'])
    parser.add_argument(
        '--encoder',
        help='another encoder: X of configs/greenmim/X_pretrain.py, for greenmim and simmim',
    )
    parser.add_argument(
        '--img-size', type=int, default=224, help='pixels, where @SIZE is not given'
    )
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--precision', default='fp32', choices=['fp32', 'bf16'])
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--warmup', type=int, default=2, help='rounds that do not count')
    parser.add_argument('--threads', type=int, help='CPU threads')
    parser.add_argument('--no-memory', action='store_true', help='leave the memory out')
    parser.add_argument('--check-sync', action='store_true',
                        help='CUDA: fail where a step waits for the device')  # fmt: skip
    parser.add_argument('--out', type=Path, help='folder for benchmark.json and benchmark.png')
    args = parser.parse_args()
    args.reference = args.reference or args.contestants[-1]
    if args.reference not in args.contestants:
        parser.error(f'--reference must be one of {args.contestants}, got {args.reference}')
    return args


def main() -> None:
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    import_quietly()
    contestants = [Contestant(spec, args) for spec in args.contestants]
    rows = measure(contestants, args)
    machine = describe_machine(args)
    print(f'{machine}\n\n{as_table(rows, args.reference)}')
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        command = ' '.join(sys.argv)
        result = dict(command=command, machine=machine, reference=args.reference, rows=rows)
        (args.out / 'benchmark.json').write_text(json.dumps(result, indent=1))
        plot(rows, machine, args.out / 'benchmark.png')
        print(f'\nwritten: {args.out}/benchmark.json, benchmark.png')


if __name__ == '__main__':
    run_or_explain(main)

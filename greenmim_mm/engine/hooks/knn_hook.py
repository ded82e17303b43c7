"""How well the frozen encoder separates classes, while it is pre-trained."""

from functools import partial
from typing import List, Optional, Sequence, Set

import torch
import torch.nn.functional as F
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from ...models.backbones import GreenEncoder
from ...registry import HOOKS
from ...sparsity import unit_grid
from .evaluation import model_in_eval_mode
from .labelled_images import LabelledImages, Unreadable


def knn_predict(
    queries: Tensor, keys: Tensor, labels: Tensor, k: int, temperature: float = 0.07
) -> Tensor:
    """Class of each query by a vote of its nearest keys.

    The k keys of highest cosine similarity vote with weight exp(similarity / temperature).

    Args:
        queries (Tensor): Features of shape Q x C.
        keys (Tensor): Features of shape N x C.
        labels (Tensor): Classes of the keys, int64 of shape N.
        k (int): Number of neighbours.
        temperature (float): Defaults to 0.07.

    Returns:
        Tensor: int64 of shape Q.

    Source: `Unsupervised Feature Learning via Non-Parametric Instance Discrimination
    <https://arxiv.org/abs/1805.01978>`_, Sec. 3.4.
    """
    similarity = F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).t()
    similarity, nearest = similarity.topk(k, dim=1)
    votes = torch.zeros(len(queries), int(labels.max()) + 1, device=queries.device)
    votes.scatter_add_(1, labels[nearest], ((similarity - 1) / temperature).exp())
    return votes.argmax(1)


@HOOKS.register_module()
class KNNHook(Hook):
    """Logs ``knn_top1``: share of a small labelled set that its neighbours classify right.

    The features are the mean over the last map of the encoder, frozen, on whole images: with
    all mask units visible for GreenMIM, as it is pre-trained (no padding of small maps), by
    ``model.extract_feat`` for others. Nothing of it reaches the training. Several processes
    share the work, and the figure is that of one. Where both datasets name their classes, names
    are compared, not numbers. A labelled picture that cannot be read is left out and named.

    Args:
        train (dict): Dataloader config of the labelled keys.
        val (dict): Dataloader config of the queries.
        k (int): Neighbours that vote. Defaults to 20.
        interval (int): Epochs between two evaluations; the last epoch always has one.
            Defaults to 10.

    Raises:
        ValueError: At the start of training, if the keys are fewer than ``k``, if ``val`` has a
            class that ``train`` does not have, or if no picture can be read.

    Example:
        >>> loader = dict(batch_size=64, num_workers=4,
        ...     dataset=dict(type='CustomDataset', data_root='data/small/train',
        ...     pipeline=[dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=256),
        ...               dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]))
        >>> custom_hooks = [dict(type='greenmim_mm.KNNHook', train=loader, val=...)]
    """

    def __init__(self, train: dict, val: dict, k: int = 20, interval: int = 10) -> None:
        if k < 1 or interval < 1:
            raise ValueError(f'k and interval must be at least 1, got {k} and {interval}')
        self.loaders = dict(train=train, val=val)
        self.k = k
        self.interval = interval
        self._named: Set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Look at everything that could fail later: numbers, classes, a picture of each set."""
        self.keys, self.queries = (LabelledImages(self.loaders[name]) for name in ('train', 'val'))
        if len(self.keys) < self.k:
            raise ValueError(f'KNNHook: k={self.k} neighbours of {len(self.keys)} labelled images')
        self._class_of = self._match_classes(self.keys.classes, self.queries.classes)
        with model_in_eval_mode(runner) as model:
            for images in (self.keys, self.queries):
                if images.share:
                    self._encode(model, images.first()[None])

    @staticmethod
    def _match_classes(
        keys: Optional[Sequence[str]], queries: Optional[Sequence[str]]
    ) -> Optional[Tensor]:
        """The keys' number of each class of the queries; None if names are not known."""
        if keys is None or queries is None:
            return None
        missing = [name for name in queries if name not in keys]
        if missing:
            raise ValueError(
                f'KNNHook: val has classes that train does not have: {", ".join(missing)}; '
                f'train has {", ".join(keys)}'
            )
        return torch.tensor([list(keys).index(name) for name in queries])

    def after_train_epoch(self, runner: Runner) -> None:
        last = runner.epoch + 1 == runner.max_epochs
        if not (last or self.every_n_epochs(runner, self.interval)):
            return
        with model_in_eval_mode(runner) as model:
            encode = partial(self._encode, model)
            keys, labels, unreadable = self.keys.encode(encode)
            queries, truth, more = self.queries.encode(encode)
        if is_main_process():
            self._name(runner, unreadable + more)
            if len(keys) < self.k or not len(queries):
                runner.logger.warning(
                    f'no knn_top1: {len(keys)} keys and {len(queries)} queries can be read, '
                    f'k={self.k}'
                )
                return
            if self._class_of is not None:
                truth = self._class_of[truth]
            self._log(runner, knn_predict(queries, keys, labels, self.k) == truth, len(keys))

    def _name(self, runner: Runner, unreadable: List[Unreadable]) -> None:
        """Name every picture that could not be read, once."""
        for name, reason in unreadable:
            if name not in self._named:
                self._named.add(name)
                runner.logger.warning(f'KNNHook leaves out {name}, which cannot be read: {reason}')

    def _log(self, runner: Runner, right: Tensor, num_keys: int) -> None:
        top1 = 100 * right.float().mean().item()
        without = f', {len(self._named)} unreadable left out' if self._named else ''
        runner.logger.info(
            f'knn_top1 ({self.k} neighbours of {num_keys} images{without}): {top1:.2f}'
        )
        runner.message_hub.update_scalar('val/knn_top1', top1)
        runner.visualizer.add_scalar('knn_top1', top1, step=runner.epoch + 1)

    @staticmethod
    @torch.no_grad()
    def _encode(model: nn.Module, inputs: Tensor) -> Tensor:
        """Mean of the last map, B x C, of pictures, B x 3 x H x W."""
        images = model.data_preprocessor(dict(inputs=inputs, data_samples=None))['inputs']
        if isinstance(model.backbone, GreenEncoder):
            grid = unit_grid(images.shape[-2:], model.backbone.mask_unit)
            last = model.backbone(images, torch.ones(1, *grid, dtype=torch.bool))[-1]
        else:
            last = model.extract_feat(images)[-1]
        return last.flatten(2).mean(2) if last.ndim == 4 else last.mean(1)

    def after_train(self, runner: Runner) -> None:
        del self.keys, self.queries  # what they hold of the data is not needed any longer

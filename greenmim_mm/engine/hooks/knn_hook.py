"""How well the frozen encoder separates classes, while it is pre-trained."""

from typing import Tuple

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
    ``model.extract_feat`` for others. Nothing of it reaches the training.

    Args:
        train (dict): Dataloader config of the labelled keys.
        val (dict): Dataloader config of the queries.
        k (int): Neighbours that vote. Defaults to 20.
        interval (int): Epochs between two evaluations; the last epoch always has one.
            Defaults to 10.

    Raises:
        ValueError: At the start of training, if the keys are fewer than ``k``.

    Example:
        >>> loader = dict(batch_size=64, num_workers=4, sampler=dict(type='DefaultSampler',
        ...     shuffle=False), dataset=dict(type='CustomDataset', data_root='data/small/train',
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

    def before_train(self, runner: Runner) -> None:
        if not is_main_process():
            return
        self.loaders = {
            name: runner.build_dataloader(loader) if isinstance(loader, dict) else loader
            for name, loader in self.loaders.items()
        }
        number = len(self.loaders['train'].dataset)
        if number < self.k:
            raise ValueError(f'KNNHook: k={self.k} neighbours of {number} labelled images')

    def after_train_epoch(self, runner: Runner) -> None:
        last = runner.epoch + 1 == runner.max_epochs
        if not is_main_process() or not (last or self.every_n_epochs(runner, self.interval)):
            return
        with model_in_eval_mode(runner) as model:
            keys, labels = self._features(model, 'train')
            queries, truth = self._features(model, 'val')
        top1 = 100 * (knn_predict(queries, keys, labels, self.k) == truth).float().mean().item()
        runner.logger.info(f'knn_top1 ({self.k} neighbours of {len(keys)} images): {top1:.2f}')
        runner.message_hub.update_scalar('val/knn_top1', top1)
        runner.visualizer.add_scalar('knn_top1', top1, step=runner.epoch + 1)

    @torch.no_grad()
    def _features(self, model: nn.Module, name: str) -> Tuple[Tensor, Tensor]:
        """Mean of the last map, N x C, and classes, N."""
        features, labels = [], []
        for batch in self.loaders[name]:
            inputs = batch['inputs']
            if isinstance(inputs, (list, tuple)):  # of pseudo_collate
                inputs = torch.stack(inputs)
            images = model.data_preprocessor(dict(inputs=inputs, data_samples=None))['inputs']
            if isinstance(model.backbone, GreenEncoder):
                grid = unit_grid(images.shape[-2:], model.backbone.mask_unit)
                last = model.backbone(images, torch.ones(1, *grid, dtype=torch.bool))[-1]
            else:
                last = model.extract_feat(images)[-1]
            features.append(last.flatten(2).mean(2) if last.ndim == 4 else last.mean(1))
            labels += [sample.gt_label for sample in batch['data_samples']]
        return torch.cat(features), torch.cat(labels).to(features[0].device)

"""A small labelled set that is read in the middle of a run, by all processes together."""

from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...datasets.sources import printable


class Unreadable(NamedTuple):
    """A picture that could not be read, and why."""

    name: str
    reason: str


class _Readable(Dataset):
    """The samples of a dataset with their indices; :class:`Unreadable` instead of an exception.

    mmengine's datasets put another picture in the place of one that a pipeline gives nothing for.
    That is right for training; in an evaluation it would count a picture twice.
    """

    def __init__(self, dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> tuple:
        try:
            if isinstance(self.dataset, BaseDataset):
                sample = self.dataset.prepare_data(idx)
            else:
                sample = self.dataset[idx]
        except Exception as error:  # a reader may raise anything
            return idx, Unreadable(self._name(idx), f'{type(error).__name__}: {error}')
        if sample is None:
            return idx, Unreadable(self._name(idx), 'the pipeline gives nothing for it')
        return idx, sample

    def _name(self, idx: int) -> str:
        info = self.dataset.get_data_info(idx) if hasattr(self.dataset, 'get_data_info') else {}
        return printable(info.get('img_path', f'sample {idx}'))


class LabelledImages:
    """Pictures and their classes: each process reads its share, the first gets all.

    Every picture counts once, on any number of processes; what cannot be read is left out.

    Args:
        config (dict): Dataloader config of MMPretrain. Its sampler, collate function and
            ``drop_last`` do not matter: every picture is read once, in order.
    """

    def __init__(self, config: dict) -> None:
        dataset = config['dataset']
        dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        self.dataset = _Readable(dataset)
        rank, processes = get_dist_info()
        self.share = range(rank, len(dataset), processes)
        replaced = ('batch_sampler', 'num_batch_per_epoch')
        config = {key: value for key, value in config.items() if key not in replaced}
        config.update(
            dataset=self.dataset,
            sampler=self.share,
            collate_fn=dict(type=list),
            drop_last=False,
            persistent_workers=False,  # they would wait for the next evaluation, for many epochs
        )
        self.loader: DataLoader = Runner.build_dataloader(config)

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def classes(self) -> Optional[Tuple[str, ...]]:
        """Names of the classes, if the dataset knows them."""
        return (getattr(self.dataset.dataset, 'metainfo', None) or {}).get('classes')

    def first(self) -> Tensor:
        """The first picture of this process's share that can be read, of shape C x H x W.

        Raises:
            ValueError: If there is none.
        """
        reason = None
        for idx in self.share:
            _, sample = self.dataset[idx]
            if not isinstance(sample, Unreadable):
                return sample['inputs']
            reason = reason or sample
        raise ValueError(f'none of {len(self.share)} labelled pictures can be read, first {reason}')

    def encode(self, encode: Callable[[Tensor], Tensor]) -> Tuple[Tensor, Tensor, List[Unreadable]]:
        """Features of all pictures that can be read. All processes call it and get the same.

        Args:
            encode (Callable): From a batch of pictures, B x C x H x W, to features, B x D.

        Returns:
            tuple: Features of shape N x D and classes, int64 of shape N, both on the CPU and in
            the order of the dataset; and what could not be read.
        """
        features: Dict[int, Tensor] = {}
        labels: Dict[int, Tensor] = {}
        unreadable = []
        for batch in self.loader:
            by_size: Dict[tuple, list] = {}
            for idx, sample in batch:
                if isinstance(sample, Unreadable):
                    unreadable.append(sample)
                    continue
                labels[idx] = sample['data_samples'].gt_label.reshape(())
                by_size.setdefault(tuple(sample['inputs'].shape), []).append((idx, sample))
            for group in by_size.values():
                encoded = encode(torch.stack([sample['inputs'] for _, sample in group])).cpu()
                features.update(zip([idx for idx, _ in group], encoded))
        parts = all_gather_object((features, labels, unreadable))
        features = {idx: feature for part in parts for idx, feature in part[0].items()}
        labels = {idx: label for part in parts for idx, label in part[1].items()}
        unreadable = [picture for part in parts for picture in part[2]]
        order = sorted(features)
        if not order:
            return torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), unreadable
        return (
            torch.stack([features[idx] for idx in order]),
            torch.stack([labels[idx] for idx in order]),
            unreadable,
        )

"""A whole run of a tiny GreenMIM on pictures that are colours."""

import torch
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner
from mmpretrain.structures import DataSample


class Colours(BaseDataset):
    """Images of one colour per class, with a little noise."""

    def __init__(self, number, seed):
        self.number, self.seed = number, seed
        super().__init__(pipeline=[self.draw])

    def load_data_list(self):
        return [dict(index=i) for i in range(self.number)]

    def draw(self, data):
        generator = torch.Generator().manual_seed(self.seed * 1000 + data['index'])
        label = data['index'] % 3
        image = torch.rand(3, 64, 64, generator=generator) * 40
        image[label] += 150
        return dict(inputs=image, data_samples=DataSample().set_gt_label(label))


def loader(number, seed):
    return dict(batch_size=4, num_workers=0, dataset=Colours(number, seed),
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'))  # fmt: skip


def small_run(tmp_path, hooks, epochs=2):
    arch = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
    model = dict(
        type='greenmim_mm.GreenMIM',
        backbone=dict(type='greenmim_mm.GreenSwinTransformer', arch=arch, img_size=64,
                      window_size=4),
        neck=dict(type='greenmim_mm.GreenMIMNeck', in_channels=64, embed_dims=16, num_heads=2),
        head=dict(type='greenmim_mm.GreenMIMHead', norm_pix=True, patch_size=32,
                  loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2')),
    )  # fmt: skip
    runner = Runner(
        model=model, work_dir=str(tmp_path), train_dataloader=loader(8, 0),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)), custom_hooks=hooks,
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None),
        experiment_name=tmp_path.name, randomness=dict(seed=0), log_level='INFO',
    )  # fmt: skip
    runner.train()
    return runner

# GreenMIM pre-training of the demo's Swin on 2,300 images, without their labels.
# Follows: configs/greenmim/swin_demo_pretrain.py on other images, for longer; docs/results.md.
# Learning rate: 2e-3 for batch 32, the demo's.
# Data:     data/imagenette/{train,val}/CLASS/*.JPEG, data/stamps_coco/train/*
# Run:      python tools/train.py configs/studies/swin_demo_photos_pretrain.py
# Expected: the loss and the accuracy of neighbours by epoch are in docs/results.md.
_base_ = '../greenmim/swin_demo_pretrain.py'

photos = 'data/imagenette/'
train_dataloader = dict(dataset=dict(data_root=[photos + 'train', 'data/stamps_coco/train']))

max_epochs = 96
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1]['end'] = max_epochs
default_hooks = dict(logger=dict(interval=50))

labelled = dict(
    batch_size=50,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset',
        data_root=photos,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=146, edge='short', backend='pillow'),
            dict(type='CenterCrop', crop_size=128),
            dict(type='PackInputs'),
        ],
    ),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='greenmim_mm.KNNHook',
        interval=8,
        train=dict(labelled, dataset=dict(labelled['dataset'], data_prefix='train')),
        val=dict(labelled, dataset=dict(labelled['dataset'], data_prefix='val')),
    ),
]

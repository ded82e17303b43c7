# GreenMIM pre-training of a small Swin on 128 px images: the first half of `make demo`.
# Follows: the recipe of swin_b_pretrain.py at toy size; everything here is ours.
# Learning rate: 2e-3 for batch 32 (toy size, not scaled from the paper's).
# Before:   python tools/dataset_converters/make_toy_coco.py data/toy_coco
# Run:      python tools/train.py configs/greenmim/swin_demo_pretrain.py
# Expected: about three minutes on 2 cores, loss about 0.35.
_base_ = '../_base_/greenmim_pretrain.py'

model = dict(
    per_image=True,  # small batches: a mask per image varies the task more
    backbone=dict(
        # three stages: the mask unit is 16 px, and a 128 px image has 8 x 8 of them
        arch=dict(embed_dims=32, depths=[2, 2, 4], num_heads=[2, 4, 8]),
        img_size=128,
        out_indices=(2,),
        stage_cfgs=dict(window_size=4),
    ),
    neck=dict(in_channels=128, embed_dims=128, num_heads=4, patch_size=16),
    head=dict(patch_size=16),
)

train_pipeline = [
    dict(type='greenmim_mm.LoadImage', on_error='skip'),
    dict(
        type='RandomResizedCrop',
        scale=128,
        crop_ratio_range=(0.4, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    pin_memory=False,
    dataset=dict(data_root='data/toy_coco/unlabelled', pipeline=train_pipeline),
)

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', fused=True, lr=2e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=_base_.optim_wrapper.paramwise_cfg,
)
max_epochs = 16
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=1,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=2, save_optimizer=True)
)
auto_scale_lr = dict(base_batch_size=32)

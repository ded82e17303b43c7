# The demo's Swin as a classifier of Imagenette's ten classes: mean of the last map, a linear layer.
# Follows: no paper; one side of the study in docs/results.md.
# Learning rate: 5e-4 for batch 32; weight decay 0.05 on every parameter, norms and biases too.
# Data:     data/imagenette/{train,val}/CLASS/*.JPEG
# Run:      python tools/train.py configs/studies/swin_demo_imagenette.py
# Expected: docs/results.md
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_bicubic.py',
    'mmpretrain::_base_/default_runtime.py',
]

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

data_preprocessor = dict(num_classes=10)
norm_cfg = dict(type='LN', eps=1e-6)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='greenmim_mm.GreenSwinTransformer',
        arch=dict(embed_dims=32, depths=[2, 2, 4], num_heads=[2, 4, 8]),
        img_size=128,
        out_indices=(2,),
        drop_path_rate=0.0,
        norm_cfg=norm_cfg,
        patch_cfg=dict(norm_cfg=norm_cfg),
        stage_cfgs=dict(
            window_size=4,
            block_cfgs=dict(norm_cfg=norm_cfg),
            downsample_cfg=dict(norm_cfg=norm_cfg),
        ),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_demo_photos_pretrain/epoch_96.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1,),
    ),
)

data_root = 'data/imagenette/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=128, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=146, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=128),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root=data_root,
        data_prefix='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root=data_root,
        data_prefix='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

max_epochs = 12
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=46),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=0,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=max_epochs))
custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
]
randomness = dict(seed=0)
auto_scale_lr = dict(enable=False, base_batch_size=32)

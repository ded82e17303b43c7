# Mask R-CNN with FPN on COCO, multi-scale, 36 epochs: MMDetection's Swin recipe
# (mask-rcnn_swin-*_fpn_ms-crop-3x_coco.py). Configs set the encoder.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

norm_cfg = dict(type='LN', eps=1e-6)
model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenSwinTransformer',
        img_size=224,
        drop_path_rate=0.2,
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
        norm_cfg=norm_cfg,
        patch_cfg=dict(norm_cfg=norm_cfg),
        stage_cfgs=dict(block_cfgs=dict(norm_cfg=norm_cfg), downsample_cfg=dict(norm_cfg=norm_cfg)),
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)

short_sides = [(side, 1333) for side in range(480, 801, 32)]
resize = dict(type='RandomChoiceResize', scales=short_sides, keep_ratio=True)
train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [resize],
            [
                dict(
                    type='RandomChoiceResize',
                    scales=[(400, 1333), (500, 1333), (600, 1333)],
                    keep_ratio=True,
                ),
                dict(
                    type='RandomCrop',
                    crop_type='absolute_range',
                    crop_size=(384, 600),
                    allow_negative_crop=True,
                ),
                resize,
            ],
        ],
    ),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

max_epochs = 36
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(
        type='MultiStepLR', by_epoch=True, begin=0, end=max_epochs, milestones=[27, 33], gamma=0.1
    ),
]
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            'pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
)

default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3))
custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
]
randomness = dict(seed=0)
auto_scale_lr = dict(enable=False, base_batch_size=16)

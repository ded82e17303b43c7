# Linear probe on ImageNet-1k: a frozen encoder, batch norm and one linear layer.
# MAE's recipe in MMPretrain (vit-base-p16_8xb2048-linear-coslr-90e_in1k). Configs set the encoder.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_bicubic.py',
    'mmpretrain::_base_/default_runtime.py',
]

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

norm_cfg = dict(type='LN', eps=1e-6)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='greenmim_mm.GreenSwinTransformer',
        img_size=224,
        frozen_stages=3,  # all
        drop_path_rate=0.0,
        norm_cfg=norm_cfg,
        patch_cfg=dict(norm_cfg=norm_cfg),
        stage_cfgs=dict(block_cfgs=dict(norm_cfg=norm_cfg), downsample_cfg=dict(norm_cfg=norm_cfg)),
    ),
    neck=[dict(type='GlobalAveragePooling'), dict(type='ClsBatchNormNeck', input_features=1024)],
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=1024,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.01),
        loss=dict(type='CrossEntropyLoss'),
    ),
)

train_dataloader = dict(batch_size=2048, drop_last=True)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader

optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='LARS', lr=6.4, weight_decay=0.0, momentum=0.9),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=10,
        end=90,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=90, val_interval=1)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3, save_best='auto')
)
custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
]
randomness = dict(seed=0)
auto_scale_lr = dict(enable=False, base_batch_size=16384)

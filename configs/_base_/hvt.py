# Training of HVT: the recipe of the released code (DeiT's without distillation).
# Configs set the encoder and the data.
_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

model = dict(
    type='ImageClassifier',
    backbone=dict(type='greenmim_mm.HVT', img_size=224, drop_path_rate=0.1),
    neck=None,
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=384,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        cal_acc=False,
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4 * 1024 / 512, betas=(0.9, 0.999), weight_decay=0.025),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,  # whatever a bias or a layer scale is called
        custom_keys={'pos_embed': dict(decay_mult=0.0)},  # those after the pools, too
    ),
)
max_epochs = 300
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,  # from 1e-6
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3, save_best='auto')
)
custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
    # evaluation is of the average; runs of few iterations want custom_hooks.2.momentum=0.1
    dict(type='EMAHook', momentum=4e-5, priority='ABOVE_NORMAL'),
]
randomness = dict(seed=0)
auto_scale_lr = dict(enable=False, base_batch_size=1024)

# UPerNet for semantic segmentation, 160,000 iterations of 16 images: MMSegmentation's Swin recipe.
# Needs MMSegmentation (pip install onedl-mmsegmentation==1.4.2). Configs set encoder and data.
_base_ = [
    'mmseg::_base_/models/upernet_swin.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
]

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

data_preprocessor = dict(size=(512, 512))
model = dict(
    data_preprocessor=data_preprocessor,
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
)

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            'pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=160000, by_epoch=False),
]

custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
]
randomness = dict(seed=0)
auto_scale_lr = dict(enable=False, base_batch_size=16)

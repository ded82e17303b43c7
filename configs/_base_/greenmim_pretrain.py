# GreenMIM pre-training: data, algorithm, schedule, runtime. Configs set the encoder.
# Recipe: released scripts (see ../greenmim/README.md).
_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

# A folder of images of any depth, a list file (.txt), or several of them; no labels are read:
#   --cfg-options train_dataloader.dataset.data_root=/your/images
#   --cfg-options train_dataloader.dataset.data_root=/some/images,/your/list.txt
data_root = 'data/imagenet/train/'
norm_cfg = dict(type='LN', eps=1e-6)

model = dict(
    type='greenmim_mm.GreenMIM',
    mask_ratio=0.75,
    per_image=False,  # one mask per batch and GPU, as in the paper; True: one per image
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    backbone=dict(
        type='greenmim_mm.GreenSwinTransformer',
        img_size=224,
        drop_path_rate=0.0,
        norm_cfg=norm_cfg,
        patch_cfg=dict(norm_cfg=norm_cfg),
        stage_cfgs=dict(block_cfgs=dict(norm_cfg=norm_cfg), downsample_cfg=dict(norm_cfg=norm_cfg)),
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform'),
    ),
    neck=dict(
        type='greenmim_mm.GreenMIMNeck',
        in_channels=1024,
        embed_dims=512,
        depth=1,
        num_heads=16,
        patch_size=32,
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform'),
    ),
    head=dict(
        type='greenmim_mm.GreenMIMHead',
        norm_pix=True,
        patch_size=32,
        loss=dict(type='PixelReconstructionLoss', criterion='L2'),
    ),
)

train_pipeline = [
    # on_error='skip': an unreadable image is named in the log and replaced; 'raise' stops
    dict(type='greenmim_mm.LoadImage', on_error='skip'),
    dict(
        type='RandomResizedCrop',
        scale=224,
        crop_ratio_range=(0.2, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='greenmim_mm.UnlabelledImages', data_root=data_root, pipeline=train_pipeline),
)

optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=8e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,  # whatever a bias or a layer scale is called
        custom_keys={
            'relative_position_bias_table': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
            # Swin V2: the network of its position bias, the scale of its logits
            'cpb_mlp': dict(decay_mult=0.0),
            'logit_scale': dict(decay_mult=0.0),
            'mask_token': dict(decay_mult=0.0),
        },
    ),
)

max_epochs = 800
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=40,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=40,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)

default_hooks = dict(
    logger=dict(type='LoggerHook', interval=100),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=3),
)
custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
    dict(type='greenmim_mm.GreenMonitorHook'),
]
randomness = dict(seed=0)
auto_scale_lr = dict(enable=False, base_batch_size=2048)

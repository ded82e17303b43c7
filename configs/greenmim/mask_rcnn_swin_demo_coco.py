# Small Mask R-CNN on the toy COCO set: the second half of `make demo`.
# Follows: mask_rcnn_swin_b_coco.py at toy size; everything here is ours.
# Learning rate: 5e-4 for batch 4.
# Before:   the run of swin_demo_pretrain.py
# Run:      python tools/train.py configs/greenmim/mask_rcnn_swin_demo_coco.py \
#               --pretrained work_dirs/swin_demo_pretrain/epoch_16.pth
# Expected: about three minutes on one core.
# From scratch: --cfg-options model.backbone.init_cfg=None instead of --pretrained
_base_ = '../_base_/mask_rcnn_coco.py'

data_root = 'data/toy_coco/'
classes = ('disc', 'square', 'triangle', 'ring')

# group normalisation: heads that start from scratch learn faster
head_norm_cfg = dict(type='GN', num_groups=8)

model = dict(
    backbone=dict(
        arch=dict(embed_dims=32, depths=[2, 2, 4], num_heads=[2, 4, 8]),
        img_size=128,
        out_indices=(0, 1, 2),
        drop_path_rate=0.0,
        stage_cfgs=dict(window_size=4),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_demo_pretrain/epoch_16.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=[32, 64, 128], out_channels=32, num_outs=4, norm_cfg=head_norm_cfg),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(scales=[4], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=256, num_classes=len(classes)),
        mask_roi_extractor=dict(out_channels=32),
        mask_head=dict(
            num_convs=2,
            norm_cfg=head_norm_cfg,
            in_channels=32,
            conv_out_channels=32,
            num_classes=len(classes),
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=300, max_per_img=100),
        rcnn=dict(sampler=dict(num=32)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=200, max_per_img=50),
        rcnn=dict(max_per_img=30),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=dict(classes=classes),
        filter_cfg=dict(min_size=8),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        metainfo=dict(classes=classes),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator

max_epochs = 8
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=0,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(lr=5e-4, fused=True),
    clip_grad=dict(max_norm=5.0, norm_type=2),
)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=max_epochs, max_keep_ckpts=1)
)
auto_scale_lr = dict(base_batch_size=4)

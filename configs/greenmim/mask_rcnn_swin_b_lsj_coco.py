# Mask R-CNN with Swin-B on COCO: large-scale jitter with simple copy-paste, 36 epochs.
# Follows: FastMIM's recipe for MIM Swin-B (large-scale jitter 1024, 0.1 to 2.0; SyncBN in FPN and
#          heads; 4conv1fc box head; drop path 0.2). SimMIM reaches 52.3 / 46.4 with it: do not
#          compare with figures of mask_rcnn_swin_b_coco.py.
# Learning rate: 6e-5 for 32 images (8 GPUs x 4); --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/greenmim/mask_rcnn_swin_b_lsj_coco.py 8 \
#               --pretrained work_dirs/swin_b_pretrain/epoch_800.pth
# Expected: no published figure of GreenMIM with this recipe; not run here.
_base_ = './mask_rcnn_swin_b_coco.py'

image_size = (1024, 1024)
norm_cfg = dict(type='SyncBN', requires_grad=True)
# MMDetection's SyncBN for heads, which may get no proposal on a GPU
head_norm_cfg = dict(type='MMSyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=image_size, pad_mask=True)]
    ),
    neck=dict(norm_cfg=norm_cfg),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=head_norm_cfg
        ),
        mask_head=dict(norm_cfg=head_norm_cfg),
    ),
)

load_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomResize', scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type='RandomCrop',
        crop_type='absolute_range',
        crop_size=image_size,
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Pad', size=image_size, pad_val=dict(img=(114, 114, 114))),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(
            type='CocoDataset',
            data_root='data/coco/',
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            filter_cfg=dict(filter_empty_gt=True, min_size=32),
            pipeline=load_pipeline,
            backend_args=None,
        ),
        pipeline=[dict(type='CopyPaste', max_num_pasted=100), dict(type='PackDetInputs')],
    ),
)
optim_wrapper = dict(optimizer=dict(lr=6e-5))
auto_scale_lr = dict(base_batch_size=32)

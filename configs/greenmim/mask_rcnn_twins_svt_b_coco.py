# Mask R-CNN with Twins-SVT-B on COCO, multi-scale, 36 epochs, from GreenMIM weights.
# Follows: MMDetection's Swin recipe (mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py).
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/greenmim/mask_rcnn_twins_svt_b_coco.py 8 \
#               --pretrained work_dirs/twins_svt_b_pretrain/epoch_100.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/mask_rcnn_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenSVT',
        arch='base',
        qkv_bias=True,
        norm_cfg=dict(type='LN', eps=1e-6),
        norm_after_stage=True,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.2,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/twins_svt_b_pretrain/epoch_100.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)

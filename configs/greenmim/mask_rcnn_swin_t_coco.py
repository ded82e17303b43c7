# Mask R-CNN with Swin-T (window 7) on COCO, multi-scale, 36 epochs, from GreenMIM weights.
# Follows: MMDetection's Swin recipe (mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py).
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/greenmim/mask_rcnn_swin_t_coco.py 8 \
#               --pretrained work_dirs/swin_t_pretrain/epoch_800.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/mask_rcnn_coco.py'

model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_t_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)

# Mask R-CNN with Swin-B (window 7) on COCO, multi-scale, 36 epochs, from GreenMIM weights.
# Follows: MMDetection's Swin recipe (ms-crop-3x); of GreenMIM's only "36 epochs" is known.
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/greenmim/mask_rcnn_swin_b_coco.py 8 \
#               --pretrained work_dirs/swin_b_pretrain/epoch_800.pth
# Expected: 50.0 box / 44.1 mask AP (GreenMIM's figure by the FastConvMAE README, whose recipe
#           is not published); not run here.
_base_ = '../_base_/mask_rcnn_coco.py'

model = dict(
    backbone=dict(
        arch='base',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_b_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    )
)

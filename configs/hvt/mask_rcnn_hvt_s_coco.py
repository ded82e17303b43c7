# Mask R-CNN with HVT-S-3, pooled in 2-D, on COCO, multi-scale, 36 epochs.
# Follows: nothing published. HVT's pooling loses the grid: pool='2d', the patch stride of 4 (four
#          maps from 1/4 to 1/32) and the windows are ours; schedule and data are those of
#          MMDetection's Swin recipe.
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Before:   bash tools/dist_train.sh configs/hvt/hvt_s_3_in1k.py 8 \
#               --work-dir work_dirs/hvt_s_3_2d_in1k --cfg-options model.backbone.pool=2d
# Run:      bash tools/dist_train.sh configs/hvt/mask_rcnn_hvt_s_coco.py 8 \
#               --pretrained work_dirs/hvt_s_3_2d_in1k/epoch_300.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/mask_rcnn_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.HVT',
        arch='s_3',
        pool='2d',
        patch_stride=4,
        img_size=224,
        window_size=14,
        global_attn_indexes=(6, 8, 11),  # at 1/16 and 1/32
        out_type='featmap',
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/hvt_s_3_2d_in1k/epoch_300.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=[384, 384, 384, 384]),
)

# Mask R-CNN with a plain ViT-B and the simple feature pyramid on COCO: what HPViT-B compares with.
# Follows: ViTDet (arXiv 2203.16527) in its backbone, pyramid and layer-wise decay; data and
#          schedule as mask_rcnn_hpvit_b_coco.py, not ViTDet's 100 epochs of large-scale jitter.
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hpvit/mask_rcnn_vit_b_coco.py 8 \
#               --pretrained work_dirs/mae_vit_b_pretrain/epoch_300.pth
# Expected: no figure with this schedule (ViTDet's own: 51.1 box / 45.5 mask, by an unofficial
#           README); not run here.
_base_ = './mask_rcnn_hpvit_b_coco.py'

model = dict(
    backbone=dict(patch_stride=16, depths=(12,), out_indices=(0,)),  # HPViT of one stage
    neck=dict(
        _delete_=True, type='greenmim_mm.SimpleFeaturePyramid', in_channels=768, out_channels=256
    ),
)

# Mask R-CNN with HPViT-B on COCO, multi-scale, 36 epochs, from MAE weights of a plain ViT-B.
# Follows: nothing published (that of arXiv 2211.01785 could not be read): data and schedule of
#          MMDetection's Swin recipe, windows and layer-wise decay (0.7) of ViTDet-B.
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hpvit/mask_rcnn_hpvit_b_coco.py 8 \
#               --pretrained work_dirs/mae_vit_b_pretrain/epoch_300.pth
# Expected: no figure known; not run here. Compare with mask_rcnn_vit_b_coco.py.
_base_ = '../_base_/mask_rcnn_coco.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.HPViT',
        arch='base',
        img_size=224,
        window_size=14,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mae_vit_b_pretrain/epoch_300.pth',
            prefix='backbone.',
        ),
    ),
    neck=dict(in_channels=[768, 768, 768, 768]),
)
optim_wrapper = dict(
    constructor='greenmim_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        _delete_=True,
        layer_decay_rate=0.7,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,  # whatever a bias or a layer scale is called
        custom_keys={
            'pos_embed': dict(decay_mult=0.0),
            'cls_token': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
)

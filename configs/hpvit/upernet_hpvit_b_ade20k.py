# UPerNet with HPViT-B on ADE20K, 512 px, 160,000 iterations, from MAE weights of a plain ViT-B.
# Follows: MMSegmentation's recipe for MAE ViT-B (mae-base_upernet_8xb2-amp-160k_ade20k-512x512).
#          That of arXiv 2211.01785 could not be read.
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Needs:    pip install onedl-mmsegmentation==1.4.2
# Run:      bash tools/dist_train.sh configs/hpvit/upernet_hpvit_b_ade20k.py 8 \
#               --pretrained work_dirs/mae_vit_b_pretrain/epoch_300.pth
# Expected: no figure known; not run here.
_base_ = ['../_base_/upernet_hpvit.py', 'mmseg::_base_/datasets/ade20k.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mae_vit_b_pretrain/epoch_300.pth',
            prefix='backbone.',
        )
    )
)

train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
test_dataloader = val_dataloader

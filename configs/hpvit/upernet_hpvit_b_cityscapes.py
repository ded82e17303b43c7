# UPerNet with HPViT-B on Cityscapes, 512 x 1024 px, 160,000 iterations, from MAE weights of a
# plain ViT-B.
# Follows: nothing published: upernet_hpvit_b_ade20k.py with MMSegmentation's Cityscapes data.
# Learning rate: 1e-4 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Needs:    pip install onedl-mmsegmentation==1.4.2
# Run:      bash tools/dist_train.sh configs/hpvit/upernet_hpvit_b_cityscapes.py 8 \
#               --pretrained work_dirs/mae_vit_b_pretrain/epoch_300.pth
# Expected: no figure known; not run here.
_base_ = ['../_base_/upernet_hpvit.py', 'mmseg::_base_/datasets/cityscapes.py']

crop_size = (512, 1024)
data_preprocessor = dict(size=crop_size)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        img_size=crop_size,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mae_vit_b_pretrain/epoch_300.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19),
    test_cfg=dict(mode='slide', crop_size=crop_size, stride=(341, 683)),
)

train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
test_dataloader = val_dataloader

# UPerNet with Swin-B (window 7) on ADE20K, 512 px, 160,000 iterations, from GreenMIM weights.
# Follows: MMSegmentation's Swin recipe (swin-base-patch4-window7_upernet_8xb2-160k_ade20k-512x512).
# Learning rate: 6e-5 for 16 images (8 GPUs x 2); --auto-scale-lr for other batches.
# Needs:    pip install onedl-mmsegmentation==1.4.2
# Run:      bash tools/dist_train.sh configs/greenmim/upernet_swin_b_ade20k.py 8 \
#               --pretrained work_dirs/swin_b_pretrain/epoch_800.pth
# Expected: no published figure of GreenMIM; not run here.
_base_ = ['../_base_/upernet.py', 'mmseg::_base_/datasets/ade20k.py']

norm_cfg = dict(type='LN', eps=1e-6)
model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenSwinTransformer',
        arch='base',
        img_size=224,
        drop_path_rate=0.3,
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
        norm_cfg=norm_cfg,
        patch_cfg=dict(norm_cfg=norm_cfg),
        stage_cfgs=dict(block_cfgs=dict(norm_cfg=norm_cfg), downsample_cfg=dict(norm_cfg=norm_cfg)),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_b_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512),
)

train_dataloader = dict(batch_size=2)
val_dataloader = dict(batch_size=1)
test_dataloader = val_dataloader

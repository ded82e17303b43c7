# Linear probe of Swin-T, window 7, on ImageNet-1k, 90 epochs: frozen GreenMIM weights.
# Follows: MAE's linear probe in MMPretrain, on the mean of the last map; none is in the paper.
# Learning rate: base 0.1 x batch (8 GPUs x 2048) / 256 = 6.4; --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_t_linear.py 8 \
#               --pretrained work_dirs/swin_t_pretrain/epoch_800.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/greenmim_linear.py'

model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_t_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    ),
    neck=[dict(type='GlobalAveragePooling'), dict(type='ClsBatchNormNeck', input_features=768)],
    head=dict(in_channels=768),
)

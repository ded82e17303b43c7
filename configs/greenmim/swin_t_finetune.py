# ImageNet-1k fine-tuning of Swin-T, 100 epochs, from GreenMIM weights.
# Follows: SimMIM's fine-tuning recipe, which GreenMIM uses (the size is ours).
# Learning rate: base 1.25e-3 x batch (8 GPUs x 128) / 512 = 2.5e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_t_finetune.py 8 \
#               --pretrained work_dirs/swin_t_pretrain/epoch_800.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/greenmim_finetune.py'

model = dict(
    backbone=dict(
        arch='tiny',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_t_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    ),
    head=dict(in_channels=768),
)
optim_wrapper = dict(optimizer=dict(lr=1.25e-3 * 1024 / 512))

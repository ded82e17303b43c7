# ImageNet-1k fine-tuning of Swin-B, window 7, 100 epochs, from GreenMIM weights.
# Follows: SimMIM's fine-tuning recipe, which GreenMIM uses (arXiv 2205.13515, row Swin-B).
# Learning rate: base 1.25e-3 x batch (8 GPUs x 128) / 512 = 2.5e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_b_finetune.py 8 \
#               --pretrained work_dirs/swin_b_pretrain/epoch_800.pth
# Expected: 83.8 top-1 (the paper's figure); not run here.
_base_ = '../_base_/greenmim_finetune.py'

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
optim_wrapper = dict(optimizer=dict(lr=1.25e-3 * 1024 / 512))

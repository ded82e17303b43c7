# ImageNet-1k fine-tuning of Swin-B, window 14, 100 epochs, from GreenMIM weights.
# Follows: SimMIM's fine-tuning recipe, which GreenMIM uses (layer decay and drop path of Swin-B).
# Learning rate: base 1.25e-3 x batch (8 GPUs x 128) / 512 = 2.5e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_b_w14_finetune.py 8 \
#               --pretrained work_dirs/swin_b_w14_pretrain/epoch_800.pth
# Expected: figure not found; not run here.
_base_ = '../_base_/greenmim_finetune.py'

norm_cfg = dict(type='LN', eps=1e-6)
block = dict(block_cfgs=dict(norm_cfg=norm_cfg))
stage = dict(window_size=14, downsample_cfg=dict(norm_cfg=norm_cfg), **block)
model = dict(
    backbone=dict(
        arch='base',
        stage_cfgs=[stage, stage, stage, dict(window_size=7, **block)],
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_b_w14_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=1.25e-3 * 1024 / 512))

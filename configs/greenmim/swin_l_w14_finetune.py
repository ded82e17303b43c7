# ImageNet-1k fine-tuning of Swin-L, window 14, 100 epochs, from GreenMIM weights.
# Follows: SimMIM's fine-tuning recipe, which GreenMIM uses (arXiv 2205.13515, row Swin-L).
# Learning rate: base 1e-3 x batch (8 GPUs x 96) / 512 = 1.5e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_l_w14_finetune.py 8 \
#               --pretrained work_dirs/swin_l_w14_pretrain/epoch_800.pth
# Expected: 85.1 top-1 (the paper's figure); not run here.
_base_ = '../_base_/greenmim_finetune.py'

norm_cfg = dict(type='LN', eps=1e-6)
block = dict(block_cfgs=dict(norm_cfg=norm_cfg))
stage = dict(window_size=14, downsample_cfg=dict(norm_cfg=norm_cfg), **block)
model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.3,
        stage_cfgs=[stage, stage, stage, dict(window_size=7, **block)],
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/swin_l_w14_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    ),
    head=dict(in_channels=1536),
)
train_dataloader = dict(batch_size=96)
optim_wrapper = dict(optimizer=dict(lr=1e-3 * 768 / 512), paramwise_cfg=dict(layer_decay_rate=0.8))
auto_scale_lr = dict(base_batch_size=768)

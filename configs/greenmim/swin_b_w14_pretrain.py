# GreenMIM pre-training of Swin-B, window 14, 224 px, 800 epochs on ImageNet-1k without labels.
# Follows: released script swin_base, window 14 (arXiv 2205.13515).
# Learning rate: base 1.5e-4 x batch (8 GPUs x 256) / 256 = 1.2e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_b_w14_pretrain.py 8
# Expected: figure not found in the paper; not run here.
# The last map is 7 x 7: as in Swin, its window shrinks to the map.
_base_ = '../_base_/greenmim_pretrain.py'

norm_cfg = dict(type='LN', eps=1e-6)
block = dict(block_cfgs=dict(norm_cfg=norm_cfg))
stage = dict(window_size=14, downsample_cfg=dict(norm_cfg=norm_cfg), **block)
model = dict(
    backbone=dict(arch='base', stage_cfgs=[stage, stage, stage, dict(window_size=7, **block)])
)
optim_wrapper = dict(optimizer=dict(lr=1.5e-4 * 2048 / 256))

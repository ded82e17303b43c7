# GreenMIM pre-training of Swin-T, window 7, 224 px, 800 epochs on ImageNet-1k without labels.
# Follows: the recipe of Swin-B (arXiv 2205.13515); the paper has no Swin-T row, the size is ours.
# Learning rate: base 1e-4 x batch (8 GPUs x 256) / 256 = 8e-4.
# Run:      python tools/train.py configs/greenmim/swin_t_pretrain.py --auto-scale-lr
# Own images: --cfg-options train_dataloader.dataset.data_root=/your/images
# Expected: not run here.
_base_ = '../_base_/greenmim_pretrain.py'

model = dict(backbone=dict(arch='tiny', stage_cfgs=dict(window_size=7)), neck=dict(in_channels=768))
optim_wrapper = dict(optimizer=dict(lr=1e-4 * 2048 / 256))

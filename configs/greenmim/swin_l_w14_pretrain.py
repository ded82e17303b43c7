# GreenMIM pre-training of Swin-L, window 14, 224 px, 800 epochs on ImageNet-1k without labels.
# Follows: arXiv 2205.13515, row "Swin-L" (released script swin_large, window 14).
# Learning rate: base 1e-4 x batch (8 GPUs x 256) / 256 = 8e-4.
# Run:      bash tools/dist_train.sh configs/greenmim/swin_l_w14_pretrain.py 8
# Expected: 85.1 top-1 after fine-tuning (the paper's figure); not run here.
_base_ = './swin_b_w14_pretrain.py'

model = dict(backbone=dict(arch='large'), neck=dict(in_channels=1536))
optim_wrapper = dict(optimizer=dict(lr=1e-4 * 2048 / 256))

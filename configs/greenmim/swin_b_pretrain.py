# GreenMIM pre-training of Swin-B, window 7, 224 px, 800 epochs on ImageNet-1k without labels.
# Follows: arXiv 2205.13515, row "Swin-B" (released script swin_base, 1 node x 8 GPUs).
# Learning rate: base 1e-4 x batch (8 GPUs x 256) / 256 = 8e-4.
# Run:      python tools/train.py configs/greenmim/swin_b_pretrain.py --auto-scale-lr
#           bash tools/dist_train.sh configs/greenmim/swin_b_pretrain.py 8
# Own images: --cfg-options train_dataloader.dataset.data_root=/your/images
# Expected: 83.8 top-1 after fine-tuning (the paper's figure); 887 GPU hours (FastConvMAE README).
#           Not run here.
_base_ = '../_base_/greenmim_pretrain.py'

model = dict(backbone=dict(arch='base', stage_cfgs=dict(window_size=7)))
optim_wrapper = dict(optimizer=dict(lr=1e-4 * 2048 / 256))

# GreenMIM pre-training of Twins-SVT-L, 224 px, 100 epochs on ImageNet-1k without labels.
# Follows: released script twins_large (8 GPUs x 512).
# Learning rate: base 1.5e-4 x batch (8 GPUs x 512) / 256 = 2.4e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/twins_svt_l_pretrain.py 8
# Own images: --cfg-options train_dataloader.dataset.data_root=/your/images
# Expected: accuracy not found in the papers; not run here.
_base_ = '../_base_/greenmim_twins_pretrain.py'

model = dict(backbone=dict(arch='large'))

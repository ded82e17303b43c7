# ImageNet-1k training of HVT-Ti-1 from scratch, 300 epochs.
# Follows: arXiv 2103.10619, row "HVT-Ti-1": 0.64 GFLOPs, 5.74 M parameters.
# Learning rate: base 5e-4 x batch (8 GPUs x 128) / 512 = 1e-3; --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hvt/hvt_ti_1_in1k.py 8
# Expected: 69.64 top-1, 89.40 top-5 (the paper's figures); not run here.
_base_ = ['../_base_/hvt.py', '../_base_/imagenet_bs128_repeataug_224.py']

model = dict(backbone=dict(arch='ti_1'), head=dict(in_channels=192))

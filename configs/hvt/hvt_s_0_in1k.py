# ImageNet-1k training of HVT-S-0 from scratch, 300 epochs.
# Follows: arXiv 2103.10619, row "HVT-S-0": 4.57 GFLOPs, 22.05 M parameters.
# Learning rate: base 5e-4 x batch (8 GPUs x 128) / 512 = 1e-3; --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hvt/hvt_s_0_in1k.py 8
# Expected: 80.39 top-1, 95.13 top-5 (the paper's figures); not run here.
_base_ = ['../_base_/hvt.py', '../_base_/imagenet_bs128_repeataug_224.py']

model = dict(backbone=dict(arch='s_0'))

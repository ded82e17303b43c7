# ImageNet-1k training of HVT-S-3 from scratch, 300 epochs.
# Follows: arXiv 2103.10619, row "HVT-S-3": 1.62 GFLOPs, 22.11 M parameters.
# Learning rate: base 5e-4 x batch (8 GPUs x 128) / 512 = 1e-3; --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hvt/hvt_s_3_in1k.py 8
# Expected: 76.32 top-1, 92.90 top-5 (the paper's figures); not run here.
_base_ = ['../_base_/hvt.py', '../_base_/imagenet_bs128_repeataug_224.py']

model = dict(backbone=dict(arch='s_3'))

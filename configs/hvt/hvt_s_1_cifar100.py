# CIFAR-100 training of HVT-S-1 from scratch at 224 px, 300 epochs.
# Follows: arXiv 2103.10619 trains CIFAR-100 at 224 px; its table and recipe for it could not be
#          read, so all else is as for ImageNet.
# Learning rate: base 5e-4 x batch (8 GPUs x 128) / 512 = 1e-3; --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hvt/hvt_s_1_cifar100.py 8
# Expected: no figure known; not run here.
_base_ = ['../_base_/hvt.py', '../_base_/cifar100_bs128_repeataug_224.py']

model = dict(backbone=dict(arch='s_1'), head=dict(num_classes=100))

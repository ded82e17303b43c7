# GreenMIM pre-training of Twins-PCPVT-S, 224 px, 100 epochs on ImageNet-1k without labels.
# Follows: released script twins_large (kind and size are ours).
# Learning rate: base 1.5e-4 x batch (8 GPUs x 512) / 256 = 2.4e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/twins_pcpvt_s_pretrain.py 8
# Own images: --cfg-options train_dataloader.dataset.data_root=/your/images
# Expected: no published figure; not run here.
_base_ = '../_base_/greenmim_twins_pretrain.py'

model = dict(backbone=dict(type='greenmim_mm.GreenPCPVT', arch='small'), neck=dict(in_channels=512))

# GreenMIM pre-training of PVT-S, 224 px, 800 epochs on ImageNet-1k without labels.
# Follows: the recipe of Swin-B (released script swin_base; the encoder is ours).
# Learning rate: base 1e-4 x batch (8 GPUs x 256) / 256 = 8e-4.
# Run:      bash tools/dist_train.sh configs/greenmim/pvt_s_pretrain.py 8
# Own images: --cfg-options train_dataloader.dataset.data_root=/your/images
# Expected: no published figure; not run here.
_base_ = '../_base_/greenmim_pretrain.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenPVT',
        num_layers=[3, 4, 6, 3],
        out_indices=(3,),
        drop_path_rate=0.0,
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform'),
    ),
    neck=dict(in_channels=512),
)

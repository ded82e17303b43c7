# ImageNet-1k fine-tuning of PVTv2-B2, 100 epochs, from GreenMIM weights.
# Follows: SimMIM's fine-tuning recipe without layer decay (no recipe for this encoder was found).
# Learning rate: base 1.25e-3 x batch (8 GPUs x 128) / 512 = 2.5e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/pvt_v2_b2_finetune.py 8 \
#               --pretrained work_dirs/pvt_v2_b2_pretrain/epoch_800.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/greenmim_finetune.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenPVTv2',
        embed_dims=64,
        num_layers=[3, 4, 6, 3],
        out_indices=(3,),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/pvt_v2_b2_pretrain/epoch_800.pth',
            prefix='backbone.',
        ),
    ),
    head=dict(in_channels=512),
)
optim_wrapper = dict(
    constructor='DefaultOptimWrapperConstructor',
    paramwise_cfg=dict(
        _delete_=True, norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0
    ),
)

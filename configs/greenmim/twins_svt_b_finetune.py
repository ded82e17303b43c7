# ImageNet-1k fine-tuning of Twins-SVT-B, 100 epochs, from GreenMIM weights.
# Follows: SimMIM's fine-tuning recipe without layer decay (no recipe for this encoder was found).
# Learning rate: base 1.25e-3 x batch (8 GPUs x 128) / 512 = 2.5e-3.
# Run:      bash tools/dist_train.sh configs/greenmim/twins_svt_b_finetune.py 8 \
#               --pretrained work_dirs/twins_svt_b_pretrain/epoch_100.pth
# Expected: no published figure; not run here.
_base_ = '../_base_/greenmim_finetune.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenSVT',
        arch='base',
        qkv_bias=True,
        norm_cfg=dict(type='LN', eps=1e-6),
        norm_after_stage=[False, False, False, True],
        drop_path_rate=0.3,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/twins_svt_b_pretrain/epoch_100.pth',
            prefix='backbone.',
        ),
    ),
    head=dict(in_channels=768),
)
optim_wrapper = dict(
    constructor='DefaultOptimWrapperConstructor',
    paramwise_cfg=dict(
        _delete_=True, norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0
    ),
)

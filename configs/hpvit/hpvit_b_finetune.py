# ImageNet-1k fine-tuning of HPViT-B, 100 epochs, from MAE weights of a plain ViT-B.
# Follows: MMPretrain's fine-tuning of MAE ViT-B (vit-base-p16_8xb128-coslr-100e_in1k). That of
#          arXiv 2211.01785 could not be read.
# Learning rate: base 5e-4 x batch (8 GPUs x 128) / 256 = 2e-3; --auto-scale-lr for other batches.
# Run:      bash tools/dist_train.sh configs/hpvit/hpvit_b_finetune.py 8 \
#               --pretrained work_dirs/mae_vit_b_pretrain/epoch_300.pth
# Expected: no figure known (the plain ViT: 83.1 top-1, MMPretrain); not run here.
_base_ = 'mmpretrain::mae/benchmarks/vit-base-p16_8xb128-coslr-100e_in1k.py'

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.HPViT',
        arch='base',
        img_size=224,
        window_size=14,
        drop_path_rate=0.1,
        out_type='avg_featmap',
        final_norm=False,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mae_vit_b_pretrain/epoch_300.pth',
            prefix='backbone.',
        ),
    ),
)
optim_wrapper = dict(
    type='AmpOptimWrapper',
    constructor='greenmim_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        flat_decay_mult=0.0,
        custom_keys={'relative_position_bias_table': dict(decay_mult=0.0)},
    ),
)
default_hooks = dict(checkpoint=dict(save_best='auto'))
custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
]

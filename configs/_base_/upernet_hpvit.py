# UPerNet on HPViT-B: MMSegmentation's recipe for MAE ViT-B (layer-wise decay 0.65, sliding
# windows). Configs set the checkpoint and the data.
_base_ = './upernet.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.HPViT',
        arch='base',
        img_size=512,
        window_size=16,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
    auxiliary_head=dict(in_channels=768),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)

optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    constructor='greenmim_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        _delete_=True,
        layer_decay_rate=0.65,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,  # whatever a bias or a layer scale is called
        custom_keys={
            'pos_embed': dict(decay_mult=0.0),
            'cls_token': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
)

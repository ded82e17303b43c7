# GreenMIM pre-training of Twins: the released script twins_large (100 epochs, warm-up 40).
# Configs set the size.
_base_ = './greenmim_pretrain.py'

norm_cfg = dict(type='LN', eps=1e-6)
model = dict(
    backbone=dict(
        _delete_=True,
        type='greenmim_mm.GreenSVT',
        qkv_bias=True,  # as the released model; Twins has none
        norm_cfg=norm_cfg,
        norm_after_stage=[False, False, False, True],
        init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform'),
    ),
)

train_dataloader = dict(batch_size=512)
optim_wrapper = dict(optimizer=dict(lr=1.5e-4 * 4096 / 256))
max_epochs = 100
param_scheduler = _base_.param_scheduler
param_scheduler[-1]['end'] = max_epochs
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)
auto_scale_lr = dict(enable=False, base_batch_size=4096)

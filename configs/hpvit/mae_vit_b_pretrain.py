# MAE pre-training of a plain ViT-B, 224 px, 300 epochs: the weights that HPViT starts from.
# Follows: MMPretrain's mae_vit-base-p16_8xb512-amp-coslr-300e_in1k; only the data differ (any
#          folder of images, as for GreenMIM). arXiv 2211.01785 takes pre-trained plain ViTs off
#          the shelf: MAE's own weights load through tools/model_converters/vit_to_hpvit.py.
# Learning rate: base 1.5e-4 x batch (8 GPUs x 512) / 256 = 2.4e-3; --auto-scale-lr for others.
# Run:      bash tools/dist_train.sh configs/hpvit/mae_vit_b_pretrain.py 8
# Own images: --cfg-options train_dataloader.dataset.data_root=/your/images
# Expected: 83.1 top-1 after fine-tuning the plain ViT (MMPretrain's figure); not run here.
_base_ = 'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py'

custom_imports = dict(imports=['greenmim_mm.models'], allow_failed_imports=False)

train_pipeline = [
    # on_error='skip': an unreadable image is named in the log and replaced; 'raise' stops
    dict(type='greenmim_mm.LoadImage', on_error='skip'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(
    drop_last=True,
    # without the _scope_ that a config of another package brings, which functions do not take
    collate_fn=dict(_delete_=True, type='default_collate'),
    dataset=dict(
        _delete_=True,
        type='greenmim_mm.UnlabelledImages',
        data_root='data/imagenet/train/',
        pipeline=train_pipeline,
    ),
)

custom_hooks = [
    dict(type='greenmim_mm.ReproducibilityHook'),
    dict(type='greenmim_mm.NonFiniteLossHook'),
]
resume = False  # --resume asks for it

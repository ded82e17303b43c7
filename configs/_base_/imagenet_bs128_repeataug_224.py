# ImageNet-1k as MMPretrain has it for Swin, in batches of 128 with repeated augmentation.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py'

train_dataloader = dict(
    batch_size=128,
    drop_last=True,
    sampler=dict(_delete_=True, type='RepeatAugSampler', shuffle=True),
)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader

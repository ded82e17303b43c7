# The demo's small Mask R-CNN on 800 images of eight classes.
# Follows: configs/greenmim/mask_rcnn_swin_demo_coco.py on other images; docs/results.md.
# Learning rate: 5e-4 for batch 4, the demo's.
# Data:     data/stamps_coco/{train,val}/*, data/stamps_coco/annotations/instances_{train,val}.json
# Run:      python tools/train.py configs/studies/mask_rcnn_swin_demo_stamps.py
# Expected: docs/results.md
_base_ = '../greenmim/mask_rcnn_swin_demo_coco.py'

data_root = 'data/stamps_coco/'
classes = ('bird', 'mammal', 'insect', 'fish', 'fruit', 'vegetable', 'flower', 'vehicle')
model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/swin_demo_photos_pretrain/epoch_96.pth')),
    roi_head=dict(
        bbox_head=dict(num_classes=len(classes)), mask_head=dict(num_classes=len(classes))
    ),
)
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator

max_epochs = 6
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1]['end'] = max_epochs
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=max_epochs))

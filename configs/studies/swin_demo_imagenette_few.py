# The same classifier with 300 labelled photos, 30 per class.
# Follows: no paper; one side of the study in docs/results.md.
# Learning rate: 5e-4 for batch 32; weight decay 0.05 on every parameter, norms and biases too.
# Data:     data/imagenette/{train,val}/CLASS/*.JPEG
# Run:      python tools/train.py configs/studies/swin_demo_imagenette_few.py
# Expected: docs/results.md
_base_ = 'swin_demo_imagenette.py'

train_dataloader = dict(dataset=dict(indices=list(range(0, 1500, 5))))

max_epochs = 40  # of 9 iterations
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1]['end'] = max_epochs
default_hooks = dict(checkpoint=dict(interval=max_epochs))

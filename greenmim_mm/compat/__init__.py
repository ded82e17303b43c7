"""What lets the OpenMMLab stack run anywhere.

- :mod:`.mmcv_ext`: ``mmcv.ops`` without compiled operators.
- :mod:`.mmseg_name`: ``_base_ = 'mmseg::...'`` with the maintained MMSegmentation.
- :mod:`.safe_load`: checkpoints without running code from the file.
"""

"""What lets the OpenMMLab stack run anywhere.

- :mod:`.mmcv_ext`: ``mmcv.ops`` without compiled operators.
- :mod:`.safe_load`: checkpoints without running code from the file.
"""

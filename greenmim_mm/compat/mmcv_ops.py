"""The operators of ``mmcv._ext`` that Mask R-CNN needs, by ``torchvision.ops``.

Names, arguments and in-place results are those that ``mmcv/ops/nms.py`` and
``mmcv/ops/roi_align.py`` call. Every other operator raises an error that names
it: see :func:`not_served`.
"""

from typing import Callable

import torch
import torchvision
from torch import Tensor

SERVED = ('nms', 'roi_align_forward', 'roi_align_backward')

_HOW_TO_GET_IT = (
    'Install an mmcv with compiled operators (pip install openmim, then mim install mmcv, '
    'or MMCV_WITH_OPS=1 pip install --no-binary mmcv mmcv): '
    'a compiled mmcv._ext is used as soon as it is there.'
)


def not_served(name: str) -> Callable:
    """Stand in for the operator ``name``; the module-level ``__getattr__`` of ``mmcv._ext``.

    ``mmcv.ops`` asks for all of its operators at import, so the error is
    raised at the call.
    """
    if name.startswith('__'):
        raise AttributeError(name)

    def raise_not_served(*args, **kwargs):
        raise NotImplementedError(
            f'mmcv operator "{name}" is not available: this mmcv was installed without '
            f'compiled operators, and greenmim_mm serves only {", ".join(SERVED)} '
            f'(from torchvision). {_HOW_TO_GET_IT}'
        )

    raise_not_served.__name__ = name
    return raise_not_served


def nms(boxes: Tensor, scores: Tensor, *, iou_threshold: float, offset: int) -> Tensor:
    """Non-maximum suppression.

    Args:
        boxes (Tensor): Corners x1, y1, x2, y2 in pixels, of shape N x 4.
        scores (Tensor): Scores of shape N.
        iou_threshold (float): A box goes when its IoU with a better one is above it.
        offset (int): 0, or 1 when widths and heights are ``x2 - x1 + 1``.

    Returns:
        Tensor: Indices of the kept boxes, best score first.
    """
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(boxes, scores.to(boxes.dtype), iou_threshold)


def _check_average(pool_mode: int) -> None:
    if pool_mode != 1:
        raise NotImplementedError(
            "RoIAlign with pool_mode='max' is not available without compiled mmcv operators; "
            f"torchvision has pool_mode='avg' only. {_HOW_TO_GET_IT}"
        )


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign, average pooling; writes ``output`` (R x C x aligned_height x aligned_width).

    Args:
        input (Tensor): Feature map of shape B x C x H x W.
        rois (Tensor): Batch index and corners in image pixels, of shape R x 5.
        output (Tensor): Filled in place.
        argmax_y (Tensor): Unused, belongs to max pooling.
        argmax_x (Tensor): Unused, belongs to max pooling.
        aligned_height (int): Output height.
        aligned_width (int): Output width.
        spatial_scale (float): Feature pixels per image pixel.
        sampling_ratio (int): Sampling points per bin and axis; 0 adapts to the RoI.
        pool_mode (int): 1 for average. 0 (max) raises.
        aligned (bool): Whether to shift by half a pixel.
    """
    _check_average(pool_mode)
    output.copy_(
        torch.ops.torchvision.roi_align(
            input,
            rois.to(input.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward`; writes ``grad_input`` (B x C x H x W)."""
    _check_average(pool_mode)
    batch, channels, height, width = grad_input.shape
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output,
            rois.to(grad_output.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            batch,
            channels,
            height,
            width,
            sampling_ratio,
            aligned,
        )
    )

import subprocess
import sys

import pytest
import torch

import greenmim_mm  # noqa: F401  (installs the finder)


def iou(a, b, offset):
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, 0)

    def area(box):
        return (box[2] - box[0] + offset) * (box[3] - box[1] + offset)

    return width * height / (area(a) + area(b) - width * height)


def naive_nms(boxes, scores, threshold, offset):
    keep = []
    for i in scores.argsort(descending=True).tolist():
        if all(iou(boxes[i].tolist(), boxes[k].tolist(), offset) <= threshold for k in keep):
            keep.append(i)
    return keep


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.7])
def test_nms_equals_a_loop(threshold, offset):
    from mmcv.ops import nms

    corner, size = torch.rand(60, 2) * 40, torch.rand(60, 2) * 30 + 1
    boxes, scores = torch.cat([corner, corner + size], 1), torch.rand(60)
    dets, keep = nms(boxes, scores, threshold, offset=offset)
    assert keep.tolist() == naive_nms(boxes, scores, threshold, offset)
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], 1)[keep])


def test_batched_nms_keeps_classes_apart():
    from mmcv.ops import batched_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 9.5]])
    scores, classes = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0])
    _, keep = batched_nms(boxes, scores, classes, dict(type='nms', iou_threshold=0.5))
    assert sorted(keep.tolist()) == [0, 1]


def bilinear(feature, y, x):
    """Value of a C x H x W map at a point, as RoIAlign defines it; differentiable."""
    height, width = feature.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return feature.new_zeros(feature.shape[0])
    y, x = max(y, 0.0), max(x, 0.0)
    y0, x0 = min(int(y), height - 1), min(int(x), width - 1)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy = y - y0 if y0 < height - 1 else 0.0
    dx = x - x0 if x0 < width - 1 else 0.0
    top = feature[:, y0, x0] * (1 - dx) + feature[:, y0, x1] * dx
    bottom = feature[:, y1, x0] * (1 - dx) + feature[:, y1, x1] * dx
    return top * (1 - dy) + bottom * dy


def naive_roi_align(features, rois, out_size, scale, ratio, aligned):
    half, out = (0.5 if aligned else 0.0), []
    for index, *corners in rois.tolist():
        x1, y1, x2, y2 = (c * scale - half for c in corners)
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1.0), max(width, 1.0)
        bin_h, bin_w = height / out_size, width / out_size
        ny = ratio if ratio > 0 else -int(-bin_h // 1)
        nx = ratio if ratio > 0 else -int(-bin_w // 1)
        for i in range(out_size):
            for j in range(out_size):
                points = [
                    bilinear(features[int(index)], y1 + (i + (a + 0.5) / ny) * bin_h,
                             x1 + (j + (b + 0.5) / nx) * bin_w)
                    for a in range(ny) for b in range(nx)
                ]  # fmt: skip
                out.append(torch.stack(points).mean(0))
    return torch.stack(out).view(len(rois), out_size, out_size, -1).permute(0, 3, 1, 2)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_equals_a_loop(ratio, aligned):
    from mmcv.ops import RoIAlign

    rois = torch.tensor([[0, 2.0, 3, 25, 30], [1, -4.0, 5, 12, 60], [1, 30.0, 30, 31, 33]])
    features = torch.rand(2, 3, 9, 11, dtype=torch.double)
    layer = RoIAlign(4, spatial_scale=0.25, sampling_ratio=ratio, aligned=aligned)
    results = []
    for run in (
        lambda x: layer(x, rois.double()),
        lambda x: naive_roi_align(x, rois, 4, 0.25, ratio, aligned),
    ):
        x = features.clone().requires_grad_()
        out = run(x)
        (out * torch.linspace(-1, 1, out.numel()).double().view_as(out)).sum().backward()
        results.append((out.detach(), x.grad))
    torch.testing.assert_close(*[value for value, _ in results])
    torch.testing.assert_close(*[grad for _, grad in results])


def test_max_pooling_is_refused():
    from mmcv.ops import RoIAlign

    with pytest.raises(NotImplementedError, match="pool_mode='max'"):
        RoIAlign(2, pool_mode='max')(torch.rand(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 4, 4]]))


def test_an_op_that_is_not_served_names_itself_and_the_way_out():
    from mmcv.ops import soft_nms

    with pytest.raises(NotImplementedError, match=r'operator "softnms".*mim install mmcv'):
        soft_nms(torch.rand(3, 4), torch.rand(3))


def test_a_compiled_extension_wins(tmp_path):
    """A real ``_ext`` beside mmcv's other files is found first."""
    code = f"""
import greenmim_mm, mmcv
mmcv.__path__.append({str(tmp_path)!r})
import mmcv._ext
print(mmcv._ext.who)
"""
    (tmp_path / '_ext.py').write_text("who = 'compiled'\n")
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.stdout.strip() == 'compiled', run.stderr


def test_importing_the_package_is_light():
    code = """
import sys, greenmim_mm
heavy = {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'numpy'} & set(sys.modules)
print(sorted(heavy))
"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.stdout.strip() == '[]', run.stderr

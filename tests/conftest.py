"""Shared by all tests: few threads, quiet logs, a small encoder."""

import logging
import os

import pytest
import torch

# two, or what is left where several processes share the tests (pytest-xdist)
workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))
torch.set_num_threads(max(1, min(2, (os.cpu_count() or 1) // workers)))

TINY = dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 2, 4])


@pytest.fixture(autouse=True)
def quiet_and_seeded():
    from mmengine.logging import MMLogger
    from mmengine.registry import DefaultScope

    MMLogger.get_current_instance().setLevel(logging.WARNING)
    torch.manual_seed(0)
    scopes = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()  # of the runners that a test builds
    DefaultScope._instance_dict.update(scopes)


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if 'gpu' in item.keywords:
                item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))

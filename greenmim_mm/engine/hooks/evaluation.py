"""What hooks that look at the model in the middle of training share."""

from contextlib import contextmanager
from typing import Iterator

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


@contextmanager
def model_in_eval_mode(runner: Runner) -> Iterator[nn.Module]:
    """The model without its wrapper (DDP), in evaluation mode until the block ends."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(training)

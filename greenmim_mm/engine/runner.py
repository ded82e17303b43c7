"""A runner that looks at the training data before it builds the model."""

from mmengine.runner import BaseLoop, Runner
from torch import nn

from ..datasets.errors import PictureError
from .checks import CheckError, check_batches, enforce
from .checks.batches import NO_SAMPLE

# all that mmengine's BaseDataset says about a list of samples that is empty
_EMPTY = 'need at least one array to concatenate'


def _own_words(error: Exception) -> str:
    """The message alone of an error that torch has brought from a loading worker.

    torch puts the worker's traceback in front, whose last line is ``package.Type: message``.
    """
    text = str(error).strip()
    if not text.startswith(f'Caught {type(error).__name__} in '):
        return text
    return text.splitlines()[-1].partition(': ')[2]


class DataFirstRunner(Runner):
    """mmengine's runner, but the training data is built first, and built once.

    What is wrong with the data (none there, fewer samples than a batch, nothing left by a
    filter) ends the run before a large model is built. Everything else is as in mmengine.

    Raises:
        CheckError: If the training loader yields no batch, or pictures cannot be used (before
            the model is built or while it trains); the message alone, also from a worker.
    """

    def build_model(self, model) -> nn.Module:
        self._first = self._train_dataloader
        if isinstance(self._train_dataloader, dict):
            different = self._randomness_cfg.get('diff_rank_seed', False)
            try:
                self._first = self.build_dataloader(
                    self._train_dataloader, seed=self.seed, diff_rank_seed=different
                )
            except PictureError as error:
                raise CheckError(str(error)) from error
            except ValueError as error:
                if _EMPTY not in str(error):
                    raise
                raise CheckError(NO_SAMPLE.format(key='train_dataloader')) from error
            enforce(check_batches(self._first))
        return super().build_model(model)

    def train(self) -> nn.Module:
        try:
            return super().train()
        except (CheckError, PictureError) as error:
            raise CheckError(_own_words(error)) from error

    def build_train_loop(self, loop) -> BaseLoop:
        # only here: `scale_lr` reads the batch size from the config, which a loader with a
        # batch sampler does not know
        config, self._train_dataloader = self._train_dataloader, self._first
        try:
            return super().build_train_loop(loop)
        finally:
            self._train_dataloader = config

"""Layer-wise learning-rate decay for classifiers and detectors."""

from typing import List

from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn

from ..registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(LearningRateDecayOptimWrapperConstructor):
    """MMPretrain's constructor, for every model whose backbone knows its layers.

    MMPretrain's needs ``model.get_layer_depth``, which detectors lack; MMDetection's
    works for ConvNeXt only. Here the backbone's ``get_layer_depth(name, 'backbone.')``
    is asked, and everything outside the backbone gets the full learning rate.

    ``paramwise_cfg`` is that of MMPretrain's: ``layer_decay_rate``,
    ``norm_decay_mult``, ``bias_decay_mult``, ``flat_decay_mult``, ``custom_keys``.

    Raises:
        ValueError: If neither the model nor its backbone has ``get_layer_depth``.
    """

    def add_params(self, params: List[dict], module: nn.Module, prefix: str = '', **kwargs) -> None:
        if not prefix and 'get_layer_depth' not in kwargs:
            kwargs['get_layer_depth'] = self._layer_depth_of(module)
        super().add_params(params, module, prefix=prefix, **kwargs)

    @staticmethod
    def _layer_depth_of(model: nn.Module):
        if hasattr(model, 'get_layer_depth'):
            return model.get_layer_depth
        backbone = getattr(model, 'backbone', None)
        if not hasattr(backbone, 'get_layer_depth'):
            raise ValueError(
                'layer_decay_rate needs a backbone with get_layer_depth(name, prefix), such as '
                f'greenmim_mm.GreenSwinTransformer; got {type(backbone).__name__}'
            )
        return lambda name: backbone.get_layer_depth(name, 'backbone.')

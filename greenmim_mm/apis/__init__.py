"""Using trained models from Python."""

from .inferencer import GreenMIMInferencer, Reconstruction, reconstruct

__all__ = ['GreenMIMInferencer', 'Reconstruction', 'reconstruct']

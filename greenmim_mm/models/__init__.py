"""Registered modules; importing this registers all of them."""

from .backbones import *  # noqa: F403
from .heads import *  # noqa: F403
from .necks import *  # noqa: F403
from .selfsup import *  # noqa: F403

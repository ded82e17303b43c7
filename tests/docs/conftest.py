"""The data set that is drawn once is that of the tests of the tools."""

from tests.tools.conftest import toy

__all__ = ['toy']

"""``--cfg-options``: from the command line into a config."""

import argparse
import os.path as osp
import re
from typing import Dict, Optional

from mmengine.config import Config, DictAction

from .checks import CheckError

_BLANK = '\0'  # in place of a blank, while mmengine takes those out


def _with_blanks(value):
    if isinstance(value, (list, tuple)):
        return type(value)(_with_blanks(entry) for entry in value)
    return value.replace(_BLANK, ' ') if isinstance(value, str) else value


class ConfigOptions(DictAction):
    """mmengine's ``DictAction`` that refuses what it would misread.

    ``KEY`` without ``=``, brackets that do not match, and dicts are errors of usage (exit status
    2). A text keeps its blanks, which mmengine's own takes out (``data_root=/my photos``).
    """

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for word in values or ():
            key, separator, text = word.partition('=')
            if not separator or not key:
                parser.error(f'{option_string}: {word!r} is not of the form KEY=VALUE')
            if re.search(r'(?:^|[\[(,]\s*)(?:\{|dict\()', text):
                parser.error(
                    f'{option_string} {key}: a dict is set key by key ({key}.NAME=VALUE), or in a '
                    f'config file, got {text!r}'
                )
            try:
                options[key] = self._parse_with_blanks(text)
            except AssertionError as error:  # of brackets
                parser.error(f'{option_string} {key}: {error}')
        setattr(namespace, self.dest, options)

    def _parse_with_blanks(self, text: str):
        """The value, with blanks inside its texts."""
        around_marks = re.sub(r'\s*([][(),])\s*', r'\1', text.strip())
        value = self._parse_iterable(around_marks.replace(' ', _BLANK))
        return text.strip().strip('\'"') if isinstance(value, str) else _with_blanks(value)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` to the arguments of a command."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='override settings of the config, key=value; a list as key="[a,b]" or key=a,b, '
        'a nested one as key="[(a,b),(c,d)]", with the quotes',
    )


def merge_options(cfg: Config, options: Optional[Dict[str, object]]) -> None:
    """Merge options into a config, in place.

    Raises:
        CheckError: If an option does not fit the shape of the config.
    """
    try:  # all at once: _delete_ belongs to its neighbours
        cfg.merge_from_dict(options or {})
    except (LookupError, TypeError, AttributeError) as error:
        words = ' '.join(f'{key}={value}' for key, value in options.items())
        raise CheckError(f'--cfg-options {words} does not fit the config: {error}') from error


def read_config(path: str) -> Config:
    """Read a config file.

    Raises:
        CheckError: If it is not there, is no config, or has an error; or if it needs a package
            that is not installed.
    """
    if not osp.isfile(path):
        raise CheckError(f'config {path} is not a file')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program: it may raise anything
        if isinstance(error, ModuleNotFoundError) and 'mmseg' in str(error):
            raise CheckError(
                f'{path} needs MMSegmentation: pip install onedl-mmsegmentation==1.4.2'
            ) from error
        what = error if isinstance(error, OSError) else f'{type(error).__name__}: {error}'
        raise CheckError(f'config {path} cannot be read: {what}') from error

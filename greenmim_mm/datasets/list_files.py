"""List files as people write them: a path per line, in whatever encoding."""

import codecs
import os
import re
import unicodedata
from typing import Iterator, List, Tuple

from .errors import PictureError

LISTS = ('.txt', '.lst', '.list')

_QUOTES = ('"', "'")
_CONTROL = re.compile('[\x00-\x08\x0e-\x1f]')  # not in any text
_LINE_END = re.compile('\r\n|\r|\n')


def read_list(file: str) -> Iterator[Tuple[int, List[str]]]:
    """Lines of a list file that are not empty.

    UTF-8 with or without a byte order mark, UTF-16, and names in other encodings; line ends of
    all systems.

    Args:
        file (str): Its path.

    Yields:
        Tuple[int, List[str]]: Number of the line from 1, and how its path may be meant, likeliest
        first: as it stands, without blanks and quotes, in other encodings.

    Raises:
        PictureError: If the file is not text.
    """
    with open(file, 'rb') as opened:
        content = opened.read()
    for number, line in enumerate(_lines(content, file), 1):
        spellings = _spellings(line)
        if spellings:
            yield number, spellings


def _lines(content: bytes, file: str) -> List[bytes]:
    """Lines as the bytes of a file name in UTF-8, or in the encoding of the list."""
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if content.startswith(mark):
            return _of_utf16(content, 'utf-16', file)
    if b'\0' in content:
        little = content[1::2].count(0) >= content[::2].count(0)
        return _of_utf16(content, 'utf-16-le' if little else 'utf-16-be', file)
    if content.startswith(codecs.BOM_UTF8):
        content = content[len(codecs.BOM_UTF8) :]
    return content.splitlines()  # of bytes: at line ends only


def _of_utf16(content: bytes, encoding: str, file: str) -> List[bytes]:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = '\0'
    if _CONTROL.search(text):
        raise PictureError(
            f'{file} is neither a picture that is read nor a list (text with a path per line)'
        )
    return [line.encode('utf-8', 'surrogatepass') for line in _LINE_END.split(text)]


def _spellings(line: bytes) -> List[str]:
    """The paths that a line may mean, without repetitions."""
    names = [os.fsdecode(line)]
    if not line.isascii():
        try:
            line.decode('utf-8')
        except UnicodeDecodeError:
            names.append(line.decode('latin-1'))
        names += [unicodedata.normalize(form, name) for name in names for form in ('NFC', 'NFD')]
    found = []
    for name in names:
        stripped = name.strip()
        unquoted = stripped
        if len(stripped) > 1 and stripped[0] in _QUOTES and stripped[0] == stripped[-1]:
            unquoted = stripped[1:-1]
        found += [stripped, name, unquoted]
    return [name for name in dict.fromkeys(found) if name.strip()]

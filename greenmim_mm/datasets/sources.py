"""Where pictures lie: folders of any depth, list files, single files. Names only, no pixels."""

import os
import os.path as osp
import stat
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple, Union

from .errors import PictureError
from .formats import (
    ARCHIVES,
    EXTENSIONS,
    check_extensions,
    extension_of,
    how_to_read,
    unread_extension,
)
from .left_out import LeftOut, printable
from .list_files import LISTS, read_list

# what Synology, macOS and Windows leave behind
_HIDDEN = ('@eaDir', '__MACOSX', '$RECYCLE.BIN', '#recycle')

Source = Union[str, os.PathLike]


class Found(NamedTuple):
    """A picture: the path under which it was found, that of the real file, and its number."""

    path: str
    real: str
    inode: int


class Search:
    """Finds the pictures of several sources, each real file once.

    Args:
        extensions (Sequence[str]): Of pictures. Defaults to ``EXTENSIONS``.

    Attributes:
        left_out (LeftOut): What was left out on purpose: hidden names, links to what is there
            already, links to nothing, folders that may not be read.
        unread (LeftOut): Pictures of formats that are not read, by extension.
    """

    def __init__(self, extensions: Sequence[str] = EXTENSIONS) -> None:
        self.extensions = check_extensions(extensions)
        self.left_out = LeftOut()
        self.unread = LeftOut()
        self._seen: Set[str] = set()
        self._inodes: Dict[int, str] = {}  # number -> first real file that has it
        self._linked: Set[Tuple[int, int]] = set()

    def of(self, source: Source) -> List[str]:
        """Paths of the pictures of a source that no source before it had.

        Args:
            source (str | PathLike): A folder, a list file or a picture.

        Raises:
            FileNotFoundError: If it, or a file of a list, is not there.
            PictureError: If it is an archive, is not read, or holds no picture.
        """
        source = osp.expanduser(os.fspath(source))
        found = list(self._of(source))
        if not found:
            raise PictureError(self._nothing(source))
        return self._new(found)

    def _new(self, found: Iterable[Found]) -> List[str]:
        """Paths of what was not found before; counts the others."""
        new = []
        for path, real, inode in found:
            if real in self._seen or self._is_hard_link(real, inode):
                self.left_out.add('names of pictures that are there already', path)
            else:
                new.append(path)
            self._seen.add(real)
        return new

    def _is_hard_link(self, real: str, inode: int) -> bool:
        """Whether a file was found before under another name that is as real."""
        first = self._inodes.setdefault(inode, real)
        if first == real:
            return False
        status = os.stat(real)  # a number is enough to ask, not to know: disks count for themselves
        if status.st_nlink < 2:
            return False
        other, file = os.stat(first), (status.st_dev, status.st_ino)
        self._linked.add((other.st_dev, other.st_ino))
        known = file in self._linked
        self._linked.add(file)
        return known

    def _of(self, source: str) -> Iterator[Found]:
        if osp.isdir(source):
            return iter(self._of_folder(source))
        if not osp.isfile(source):
            raise FileNotFoundError(f'neither a folder nor a list file: {printable(source)}')
        if extension_of(source, self.extensions):
            return iter([Found(source, osp.realpath(source), os.stat(source).st_ino)])
        if not extension_of(source, LISTS):
            self._refuse(source, printable(source))
        return self._of_list(source)

    @staticmethod
    def _refuse(path: str, name: str) -> None:
        """A file that is known to be no picture that is read; others pass."""
        if extension_of(path, LISTS):
            raise PictureError(f'{name} is itself a list: name it as a source of its own')
        if extension_of(path, ARCHIVES):
            raise PictureError(f'{name} is an archive: unpack it, and give the folder')
        unread = unread_extension(path)
        if unread:
            raise PictureError(f'{name}: {unread} is not read. {how_to_read(unread)}')

    def _of_list(self, file: str) -> Iterator[Found]:
        """Files of a list, and all pictures of a folder in it."""
        base = osp.dirname(osp.abspath(file))
        real_folders: Dict[str, str] = {}
        missing, number = [], 0
        for line, spellings in read_list(file):
            number += 1
            path, status = self._first_there(base, spellings)
            if status is None:
                if spellings[0].startswith('#'):
                    number -= 1
                else:
                    missing.append(path)
            elif stat.S_ISDIR(status.st_mode):
                yield from self._of_folder(path)
            else:
                if not path.lower().endswith(self.extensions):
                    self._refuse(path, f'{printable(file)}, line {line}: {printable(path)}')
                folder, name = osp.split(path)
                if folder not in real_folders:
                    real_folders[folder] = osp.realpath(folder)
                real = osp.join(real_folders[folder], name)
                yield Found(path, osp.realpath(path) if osp.islink(path) else real, status.st_ino)
        if missing:
            raise FileNotFoundError(
                f'{len(missing):,} of {number:,} files of {printable(file)} are not there, first '
                f'{printable(missing[0])}'
            )

    @staticmethod
    def _first_there(base: str, spellings: Sequence[str]) -> tuple:
        """Path and status of the first spelling of a line that is there."""
        for spelling in spellings:
            path = osp.join(base, osp.expanduser(spelling))
            try:
                return path, os.stat(path)
            except (OSError, ValueError):  # a name too long, or with a zero byte
                continue
        return osp.join(base, spellings[0]), None

    def _of_folder(self, folder: str) -> List[Found]:
        """Pictures at any depth, links followed, in the order of their names.

        What is really there is taken under its own name; linked folders come after it, each
        once, so that a link to a folder above does not go round in circles.
        """
        found: Dict[str, Found] = {}  # by real file
        linked_files: List[str] = []
        linked_folders: List[str] = []
        waiting = [(folder, osp.realpath(folder))]
        visited: Set[str] = set()
        while waiting or linked_folders:
            if not waiting:
                link = linked_folders.pop(0)
                waiting.append((link, osp.realpath(link)))
            inner, real = waiting.pop()
            if real in visited:
                self.left_out.add('links to folders that are there already', inner)
                continue
            visited.add(real)
            for entry in self._entries(inner):
                linked = entry.is_symlink()
                if self._is_folder(entry):
                    if linked:
                        linked_folders.append(entry.path)
                    else:
                        waiting.append((entry.path, osp.join(real, entry.name)))
                elif linked:
                    linked_files.append(entry.path)
                else:
                    file = osp.join(real, entry.name)
                    found[file] = Found(entry.path, file, entry.inode())
            linked_folders.sort()
        for path in sorted(linked_files):
            real = osp.realpath(path)
            if not osp.exists(real):
                self.left_out.add('links to nothing', path)
            elif real in found:
                self.left_out.add('names of pictures that are there already', path)
            else:
                found[real] = Found(path, real, os.stat(real).st_ino)
        return sorted(found.values())

    def _entries(self, folder: str) -> Iterator[os.DirEntry]:
        """Folders and pictures that lie in a folder; counts what is left out."""
        try:
            entries = list(os.scandir(folder))
        except OSError:  # lost+found of a disk, for example
            self.left_out.add('folders that may not be read', folder)
            return
        for entry in entries:
            hidden = entry.name.startswith('.') or entry.name in _HIDDEN
            if self._is_folder(entry):
                if hidden:
                    self.left_out.add('hidden folders', entry.path)
                else:
                    yield entry
            elif entry.name.lower().endswith(self.extensions):
                if hidden:
                    self.left_out.add('hidden files', entry.path)
                else:
                    yield entry
            elif not hidden:
                unread = unread_extension(entry.name)
                if unread:
                    self.unread.add(unread, entry.path)

    @staticmethod
    def _is_folder(entry: os.DirEntry) -> bool:
        try:
            return entry.is_dir()
        except OSError:  # a link to itself
            return False

    def unread_formats(self) -> str:
        """Formats that are present but not read, each with its number and what would read it."""
        return '; '.join(
            f'{number:,} {extension} ({how_to_read(extension)})'
            for extension, number in self.unread.numbers.most_common()
        )

    def _nothing(self, source: str) -> str:
        text = (
            f'no image in {printable(source)}: a folder with files '
            f'{", ".join(self.extensions)} at any depth, a picture, or a .txt with a path per line'
        )
        if self.unread.numbers:
            text += f'. Not read: {self.unread_formats()}'
        if self.left_out.numbers:
            text += f'. Left out: {self.left_out}'
        return text


def find_images(folder: Source, extensions: Sequence[str] = EXTENSIONS) -> List[str]:
    """Paths of all images of a folder of any depth, each real file once, in order of their names.

    Links are followed; hidden names are left out.
    """
    search = Search(extensions)
    return search._new(search._of_folder(osp.expanduser(os.fspath(folder))))


def as_sources(data_root: Union[Source, Sequence[Source]]) -> List[Source]:
    """What is named, as a list.

    Raises:
        PictureError: If it is no path and no sequence of paths, or names none.
    """
    several = isinstance(data_root, (list, tuple))
    sources = list(data_root) if several else [data_root]
    text = 'data_root must name a folder, a list file or a picture, or several of them'
    if not sources:
        raise PictureError(f'{text}, got none')
    for source in sources:
        if not isinstance(source, (str, os.PathLike)) or not os.fspath(source):
            raise PictureError(f'{text}, got {source!r}. A folder whose name is a number: ./NAME')
    return sources


def find_pictures(
    sources: Union[Source, Sequence[Source]], extensions: Sequence[str] = EXTENSIONS
) -> Tuple[Dict[str, List[str]], Search]:
    """Paths of the pictures of several sources, each real file once.

    Returns:
        tuple: New pictures by source, in the order of the sources; and the search, which knows
        what was left out.

    Raises:
        FileNotFoundError: If a source, or a file of a list, is not there.
        PictureError: If a source holds no picture or cannot be read, or there is none.
    """
    search = Search(extensions)
    found: Dict[str, List[str]] = {}
    for source in as_sources(sources):
        found.setdefault(os.fspath(source), []).extend(search.of(source))
    return found, search

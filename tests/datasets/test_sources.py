"""What is found where: links, hidden names, and lists as people write them."""

import os
import unicodedata

import pytest
from PIL import Image

from greenmim_mm.datasets.shared_set import SharedSet
from greenmim_mm.datasets.sources import Search, find_images, find_pictures


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'root'
    for i in range(32):
        file = root / f'{i % 4}' / f'{i:02}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new('L', (2, 2)).save(file)
    return root


def found_in(*sources, **kwargs):
    found, _ = find_pictures(list(sources), **kwargs)
    return [path for new in found.values() for path in new]


@pytest.mark.parametrize('links', [
    {'loop': '.'}, {'0/up': '..', '1/up': '..'}, {'0/one': '../1', '1/zero': '../0'},
    {'a': 'b', 'b': 'a'}, {'0/x.png': '../1/01.png', 'y.png': '0/00.png'}, {'self.png': 'self.png'},
])  # fmt: skip
def test_links_in_circles_give_each_file_once(folder, links):
    """The report's: a link to the folder itself gave 1,312 pictures, two never ended."""
    expected = sorted(map(str, folder.rglob('*.png')))
    for name, target in links.items():
        (folder / name).symlink_to(target)
    assert find_images(folder) == expected and len(expected) == 32


def test_overlapping_sources_count_a_file_once(folder, tmp_path):
    (tmp_path / 'link').symlink_to(folder / '2')
    (tmp_path / 'list.txt').write_text('root/0/00.png\nlink/02.png\nroot/../root/1/01.png\n')
    sources = [folder / '1', tmp_path / 'list.txt', folder, folder / '3' / '03.png']
    found, search = find_pictures(sources)
    paths = [path for new in found.values() for path in new]
    assert len(paths) == len({os.path.realpath(path) for path in paths}) == 32
    assert [len(new) for new in found.values()] == [8, 2, 22, 0]
    # the 8 of folder 1, 0/00 and 2/02, 3/03: each once, however often it is named
    assert search.left_out.numbers['names of pictures that are there already'] == 8 + 2 + 1


def test_overlapping_sources_count_what_is_left_out_and_not_read_once(folder):
    for name in ('a.heic', '.hidden.png'):
        (folder / '1' / name).write_bytes(b'x')
    (folder / '1' / 'gone.png').symlink_to('nowhere.png')
    (folder / 'up').symlink_to(folder / '1')
    _, search = find_pictures([folder, folder / '1', folder / 'up'])
    assert dict(search.unread.numbers) == {'.heic': 1}
    assert search.left_out.numbers['hidden files'] == search.left_out.numbers['links to nothing']
    assert search.left_out.numbers['hidden files'] == 1


def test_a_hard_link_is_no_second_picture(folder, tmp_path, monkeypatch):
    (tmp_path / 'list.txt').write_text('root/0/00.png\nroot/0/again.png\n')
    os.link(folder / '0' / '00.png', folder / '0' / 'again.png')
    os.link(folder / '0' / '00.png', folder / '3' / 'again.png')
    for source in (folder, [folder / '3', folder], [tmp_path / 'list.txt', folder]):
        found, search = find_pictures(source)
        assert sum(map(len, found.values())) == 32
        assert search.left_out.numbers['names of pictures that are there already'] >= 2
    assert len(find_images(folder)) == 32
    # file systems that number nothing, or all alike
    monkeypatch.setattr(Search, '_of_folder', lambda self, folder, real=Search._of_folder: [
        found._replace(inode=0) for found in real(self, folder)
    ])  # fmt: skip
    assert len(find_images(folder)) == 32


def test_folders_that_may_not_be_read_are_counted(folder, monkeypatch):
    def scandir(path, real=os.scandir):
        if str(path).endswith('/2'):
            raise PermissionError(13, 'Permission denied', path)
        return real(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    found, search = find_pictures(folder)
    assert len(found[str(folder)]) == 24
    assert str(search.left_out) == f'1 folders that may not be read (first {folder}/2)'


NAMES = ['a.png', 'b c.png', "it's.png", '#1.png', 'é.png']


@pytest.fixture
def named(tmp_path):
    for name in NAMES:
        Image.new('L', (2, 2)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be',
                                      'latin-1'])  # fmt: skip
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('quote', ['', '"', "'"])
def test_lists_in_every_encoding(named, encoding, end, quote):
    text = end.join(['# a comment', '', *(f'{quote}{name}{quote} ' for name in NAMES), ''])
    (named / 'list.txt').write_bytes(text.encode(encoding))
    assert found_in(named / 'list.txt') == [str(named / name) for name in NAMES]


def test_names_that_are_no_utf8(tmp_path):
    """As old archives leave them: the bytes of the list are the bytes of the name."""
    name = os.fsdecode('Mädchen.png'.encode('latin-1'))
    Image.new('L', (2, 2)).save(tmp_path / 'x.png')
    (tmp_path / 'x.png').rename(tmp_path / name)
    (tmp_path / 'list.txt').write_bytes('Mädchen.png\n'.encode('latin-1'))
    assert found_in(tmp_path / 'list.txt') == found_in(tmp_path) == [str(tmp_path / name)]
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 1 files .* first .*M\\xe4dchen\.png'):
        found_in(tmp_path / 'list.txt')


def test_accents_as_macos_writes_them(named):
    text = unicodedata.normalize('NFD', 'é.png')
    (named / 'list.txt').write_text(text)
    assert found_in(named / 'list.txt') == [str(named / 'é.png')]


def test_a_picture_a_path_object_and_a_folder_inside_a_list(folder, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(folder))
    (tmp_path / 'list.txt').write_text('root/0\nroot/1/01.png\n~/2\n')
    assert len(found_in(tmp_path / 'list.txt')) == 8 + 1 + 8
    assert found_in(folder / '0' / '00.png') == [str(folder / '0' / '00.png')]
    assert find_pictures(str(folder / '0' / '00.png'))[0] == find_pictures(folder / '0/00.png')[0]


@pytest.mark.parametrize('name,content,words', [
    ('pictures.zip', b'PK\3\4', 'pictures.zip is an archive: unpack it'),
    ('pictures.tar.gz', b'\x1f\x8b', 'pictures.tar.gz is an archive: unpack it'),
    ('a.heic', b'\0\0\0\x18ftypheic', 'a.heic: .heic is not read. pip install pillow-heif'),
    ('list.bin', bytes(range(256)), 'list.bin is neither a picture that is read nor a list'),
    ('list.txt', b'\xff\xfe\0\xd8a', 'list.txt is neither a picture'),
    ('list.txt', b'inner.zip\n', r'list.txt, line 1: .*inner.zip is an archive'),
    ('list.txt', b'\n\ninner.txt\n', r'list.txt, line 3: .*inner.txt is itself a list'),
    ('list.txt', b'# nothing\n', r'no image in .*list.txt'),
])  # fmt: skip
def test_what_is_no_source_is_refused_in_one_line(tmp_path, name, content, words):
    (tmp_path / 'inner.zip').write_bytes(b'PK\3\4')
    (tmp_path / 'inner.txt').write_text('x')
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        found_in(tmp_path / name)
    assert '\n' not in str(error.value)


def test_a_folder_of_archives_says_so(tmp_path):
    for i in range(3):
        (tmp_path / f'n{i}.tar').write_bytes(b'x')
    with pytest.raises(
        ValueError, match=r'no image in .*Not read: 3 \.tar \(archives: unpack them\)'
    ):
        found_in(tmp_path)


def test_extensions_are_the_users(folder):
    (folder / 'a.GIF').write_bytes(b'x')
    (folder / 'notpng').write_bytes(b'x')
    for extensions in ('.gif', ['gif'], ('.GIF',)):
        assert found_in(folder, extensions=extensions) == [str(folder / 'a.GIF')]
    assert len(found_in(folder, extensions='png')) == 32
    for extensions in ([], [1], '.'):
        with pytest.raises(ValueError, match=r"extensions must be texts such as '\.jpg', got"):
            found_in(folder, extensions=extensions)


def test_shared_set_finds_each_text_new_once():
    texts = [f'{i}.jpg' for i in range(300)]
    known = SharedSet(512)
    assert all(known.add(text) for text in texts)
    assert not any(known.add(text) for text in texts)
    full = SharedSet(8)
    assert sum(full.add(text) for text in texts) == 8

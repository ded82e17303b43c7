import pytest
from PIL import Image

from .cases import annotation


@pytest.fixture
def dataset(tmp_path):
    """Two pictures of 40 x 30 with a square each, in the folder ``images``."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('a.jpg', 'b.png'):
        Image.effect_noise((40, 30), 90).convert('RGB').save(folder / name)
    images = [dict(id=i, file_name=n, width=40, height=30) for i, n in ((1, 'a.jpg'), (2, 'b.png'))]
    data = dict(info={}, images=images, categories=[dict(id=1, name='x')],
                annotations=[annotation(1), annotation(2, 2)])  # fmt: skip
    return data, folder

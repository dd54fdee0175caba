import pytest
from support.tiny import draw_images


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return draw_images(tmp_path_factory.mktemp("pictures") / "data")

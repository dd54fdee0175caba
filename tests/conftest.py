"""What every test gets: shapes and types checked at each call, one thread, and the data that cannot be shipped."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
os.environ["OMP_NUM_THREADS"] = "1"  # before torch loads: test processes run side by side
os.environ["CGRSEG_AUTO"] = "torch"  # preparing a network for another engine takes long; tests of those name them
os.environ["CGRSEG_CACHE"] = str(REPOSITORY / ".pytest_cache" / "networks")

from jaxtyping import install_import_hook

install_import_hook("cgrseg", "beartype.beartype")

import pytest
from support.browser import open_browser, visits

SHARED = Path(os.environ.get("CGRSEG_SHARED", REPOSITORY.parent / "shared"))


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the folder {name} of $CGRSEG_SHARED, which cannot be shipped")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Samples of published data sets, in their official layouts."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """Outputs of the authors' modules, too large to ship."""
    return _shared("golden")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def photo() -> Path:
    """The bundled street photo."""
    return REPOSITORY / "src/cgrseg/assets/street.jpg"


@pytest.fixture(scope="session")
def browser():
    """A headless browser."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def visit(browser):
    """Opens an address in the browser; the test fails where the page complains."""
    with visits(browser) as opens:
        yield opens


@pytest.fixture(scope="session")
def imagenet_s0(tmp_path_factory) -> Path:
    """A file like timm's EfficientFormerV2-S0, its numbers made by the rule of the reference values."""
    from safetensors.torch import save_file
    from support.reference import timm_weights

    path = tmp_path_factory.mktemp("imagenet") / "efficientformerv2_s0.safetensors"
    save_file(timm_weights("s0"), path)
    return path


@pytest.fixture(scope="session")
def imagenet_lite(tmp_path_factory) -> Path:
    """A file like that of the package with EfficientNet-Lite2, its numbers made by the rule of the reference values."""
    import torch
    from support.reference import lite_weights

    path = tmp_path_factory.mktemp("imagenet") / "efficientnet-lite2.pth"
    torch.save(lite_weights(), path)
    return path

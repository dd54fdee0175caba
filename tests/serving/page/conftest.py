"""Servers of their own for the page: nothing between the two is made up."""

import pytest
from support.browser import visits
from support.paged import FLAG, READY, choose
from support.served import save_tiny, serving, serving_gated

REFUSALS = "the server responded with a status of"


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """A server that tells red, green and blue, one image at a time; and a file that holds it up while it is there."""
    with serving_gated(tmp_path_factory.mktemp("colours"), queue=1) as (served, closed):
        yield f"http://{served.host}:{served.port}/", closed


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """`cgrseg serve` with three models, of which one cannot be loaded, and narrow limits."""
    folder = tmp_path_factory.mktemp("several")
    tiny = save_tiny(folder / "tiny.safetensors")
    (folder / "broken.safetensors").write_bytes(b"no weights")
    weights = [tiny, f"other={tiny}", folder / "broken.safetensors"]
    with serving(*weights, "--body-mib", 1, "--pixels", 3_000_000) as served:
        yield f"http://{served.host}:{served.port}/"


@pytest.fixture
def opens(browser):
    """Opens the page of a server; refusals are what some of these tests ask for, other complaints fail them."""
    with visits(browser, forgives=REFUSALS) as visit:

        def opened(address: str, **options):
            page = visit(address, **options)
            page.wait_for_selector(READY)
            return page

        yield opened


@pytest.fixture
def page(opens, colours):
    """The page with a labelled image whose left half is red and right half blue."""
    opened = opens(colours[0])
    choose(opened, FLAG)
    return opened

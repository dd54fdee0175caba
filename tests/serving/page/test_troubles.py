"""What goes wrong is said in words, with the way on."""

import json

import numpy as np
import pytest
from support.colour_engine import flag
from support.paged import FLAG, LABELLED, NO_IMAGE, READY, choose, said
from support.served import png, save_tiny, serving

pytestmark = pytest.mark.slow


def test_what_is_no_image_is_said_and_the_last_result_stays(page):
    page.set_input_files("#file", NO_IMAGE)

    page.wait_for_selector(".notice")

    assert "notes.txt cannot be labelled" in said(page)
    assert page.locator("#name").inner_text() == "flag.png"
    assert page.locator(LABELLED).count() == 2
    page.get_by_role("button", name="Close").click()
    assert page.locator(".notice").count() == 0


@pytest.mark.parametrize(
    ("kind", "words"), [("bytes", "at most 1.0\u00a0MB"), ("pixels", "at most 3.0\u00a0megapixels")]
)
def test_too_large_is_said_before_anything_is_sent(opens, several, kind, words):
    heavy = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    image = heavy if kind == "bytes" else flag(2000, 2000)
    page = opens(several)
    sent = []
    page.on("request", lambda request: sent.append(request.method))

    page.set_input_files("#file", {"name": "large.png", "mimeType": "image/png", "buffer": png(image)})
    page.wait_for_selector(".notice")

    assert words in said(page)
    assert "POST" not in sent


def test_a_busy_server_is_asked_once_more_and_then_it_is_up_to_you(opens, colours):
    address, closed = colours
    first, second = opens(address), opens(address)
    closed.touch()
    first.set_input_files("#file", FLAG)
    first.get_by_text("Labelling", exact=True).first.wait_for()

    second.set_input_files("#file", FLAG)
    second.get_by_text("The server is busy; trying again").first.wait_for()
    second.wait_for_selector(".notice[data-kind=busy]")
    closed.unlink()
    first.wait_for_selector(LABELLED)
    second.get_by_role("button", name="Try again").click()
    second.wait_for_selector(LABELLED)

    assert second.locator(".notice").count() == 0
    assert first.locator(".progress").is_hidden()


def test_waiting_can_be_cancelled(browser, colours):
    address, closed = colours
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector(READY)
    closed.touch()
    page.set_input_files("#file", FLAG)
    page.get_by_text("Labelling", exact=True).first.wait_for()

    page.get_by_role("button", name="Cancel").click()
    closed.unlink()
    cancelled = said(page)
    is_hidden = page.locator(".progress").is_hidden()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(LABELLED)

    assert "The image was not labelled" in cancelled
    assert is_hidden
    page.close()


def test_a_server_that_is_gone_is_said_and_asked_again(browser, colours):
    page = browser.new_page()
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.goto(colours[0])
    page.wait_for_selector(".notice[data-kind=gone]")

    page.set_input_files("#file", FLAG)
    page.locator(".notice[data-kind=gone]", has_text="See whether it still runs").wait_for()
    page.wait_for_selector("#work.bare")
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()

    page.wait_for_selector(LABELLED)
    page.close()


def test_a_token_that_is_missing_is_asked_for_and_sent(browser, colours):
    page = browser.new_page()
    refused = json.dumps({"error": "this server needs its token"})

    def guard(route) -> None:
        if route.request.headers.get("authorization") == "Bearer open sesame":
            route.continue_()
        else:
            route.fulfill(status=401, content_type="application/json", body=refused)

    page.route("**/v1/**", guard)
    page.goto(colours[0])
    page.get_by_label("Token").fill("guess")
    page.keyboard.press("Enter")
    page.get_by_text("did not take this one").wait_for()
    page.get_by_label("Token").fill("open sesame")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector(READY)
    choose(page, FLAG)

    assert page.locator(".notice").count() == 0
    page.close()


def test_a_browser_that_shows_the_token_gets_the_page_and_its_answers(opens, tmp_path):
    tiny = save_tiny(tmp_path / "tiny.safetensors")
    (tmp_path / "token").write_text("open sesame\n")

    with serving(tiny, "--token-file", tmp_path / "token") as served:
        address = f"http://{served.host}:{served.port}/"
        page = opens(address, http_credentials={"username": "any", "password": "open sesame"})
        choose(page, FLAG)
        refused = served.ask("GET", "/")[0]

        assert page.locator(".notice").count() == 0
        assert refused == 401
        page.close()

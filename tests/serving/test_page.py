"""The page of the service, in a browser, on servers of their own: nothing between them is made up but cameras."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import visits
from colour_engine import flag
from PIL import Image
from served import png, save_tiny, serving, serving_gated

import cgrseg.report
import cgrseg.serving

pytestmark = pytest.mark.slow

PAGE = Path(cgrseg.serving.__file__).parent / "page"
READY = "html[data-ready]"
LABELLED = "#work:not(.bare) .legend li"
FLAG = {"name": "flag.png", "mimeType": "image/png", "buffer": png(flag(80, 120))}
NO_PICTURE = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a picture\n" * 9}
REFUSALS = "the server responded with a status of"


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A server that tells red, green and blue, one picture at a time; and a file that holds it up while it is there."""
    with serving_gated(tmp_path_factory.mktemp("colours"), queue=1) as (served, closed):
        yield f"http://{served.host}:{served.port}/", closed


@pytest.fixture(scope="module")
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
    """The page with a labelled picture whose left half is red and right half blue."""
    opened = opens(colours[0])
    choose(opened, FLAG)
    return opened


def choose(page, file) -> None:
    page.set_input_files("#file", file)
    page.wait_for_selector(LABELLED)


def colour_at(page, layer: str, across: float, down: float = 0.5) -> list[int]:
    """Red, green, blue and opacity of a layer at a place of the stage, 0..1 each way, once it is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    script = """(canvas, [across, down]) => [...canvas.getContext("2d")
        .getImageData(Math.floor(across * canvas.width), Math.floor(down * canvas.height), 1, 1).data]"""
    return page.locator(f"canvas[data-layer={layer}]").evaluate(script, [across, down])


def point(page, across: float, down: float = 0.5) -> None:
    box = page.locator(".surface").bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def level(page) -> int:
    return int(re.sub(r"\D", "", page.locator(".level").inner_text()))


def said(page) -> str:
    return page.locator(".notice").inner_text()


BRING = """async ([kind, name, type, bytes]) => {
    const carried = new DataTransfer();
    if (bytes) carried.items.add(new File([new Uint8Array(bytes)], name, { type }));
    else carried.setData("text/uri-list", "https://example.org/a.jpg");
    const paste = new ClipboardEvent("paste", { clipboardData: carried, bubbles: true });
    const drag = (event) => new DragEvent(event, { dataTransfer: carried, bubbles: true, cancelable: true });
    const events = kind === "paste" ? [paste] : [drag("dragenter"), drag("dragover"), drag("drop")];
    for (const event of events) document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_picture_that_comes_in_is_labelled(opens, colours, way):
    page = opens(colours[0])

    if way == "choose":
        page.set_input_files("#file", FLAG)
    else:
        page.evaluate(BRING, [way, "flag.png", "image/png", list(FLAG["buffer"])])
    page.wait_for_selector(LABELLED)

    assert page.locator("#name").inner_text() == "flag.png"
    assert "120 × 80" in page.locator("#facts").inner_text()
    assert page.locator(".legend .name").all_inner_texts() == ["red", "blue"]
    assert colour_at(page, "labels", 0.25) == [255, 0, 0, 255]
    assert colour_at(page, "labels", 0.75) == [0, 0, 255, 255]
    assert page.locator("#over").is_hidden()


@pytest.mark.parametrize(("way", "words"), [("drop", "That was no file"), ("paste", "There is no picture")])
def test_what_is_no_file_is_not_fetched(opens, colours, way, words):
    page = opens(colours[0])

    page.evaluate(BRING, [way, "", "", None])

    assert words in said(page)


def test_the_slider_sets_how_far_the_labels_cover_the_picture(page):
    page.get_by_label("Opacity").focus()

    page.keyboard.press("Home")
    bare = page.locator("canvas[data-layer=labels]").evaluate("(canvas) => getComputedStyle(canvas).opacity")
    page.keyboard.press("End")
    full = page.locator("canvas[data-layer=labels]").evaluate("(canvas) => getComputedStyle(canvas).opacity")

    assert (bare, full) == ("0", "1")


def test_pointing_names_class_and_confidence_and_marks_the_legend(page):
    point(page, 0.25)
    left = page.locator(".tip").inner_text()
    marked = page.locator(".legend .here .name").inner_text()
    point(page, 0.75)
    right = page.locator(".tip").inner_text()

    assert re.fullmatch(r"red\s+\d+\s%", left)
    assert marked == "red"
    assert re.fullmatch(r"blue\s+\d+\s%", right)


def test_arrow_keys_read_the_picture_to_those_who_listen(page):
    page.locator(".surface").focus()

    for _ in range(12):
        page.keyboard.press("ArrowLeft")

    assert page.locator(".cross").is_visible()
    assert page.locator("#spoken").inner_text().startswith("red, ")


def test_a_class_can_be_hidden_and_shown_again(page):
    page.get_by_role("checkbox", name="red").click()
    hidden = colour_at(page, "labels", 0.25)
    other = colour_at(page, "labels", 0.75)
    page.get_by_role("button", name="Show all").click()

    assert hidden == [0, 0, 0, 0]
    assert other == [0, 0, 255, 255]
    assert colour_at(page, "labels", 0.25) == [255, 0, 0, 255]


def test_a_class_can_be_shown_alone_by_keyboard(page):
    page.get_by_role("button", name="Only blue").focus()

    page.keyboard.press("Enter")

    assert colour_at(page, "labels", 0.25) == [0, 0, 0, 0]
    assert colour_at(page, "labels", 0.75) == [0, 0, 255, 255]
    assert not page.get_by_role("checkbox", name="red").is_checked()


def test_the_heat_map_shows_confidence_of_the_classes_that_show(page):
    page.get_by_text("Confidence", exact=True).click()
    page.get_by_role("checkbox", name="blue").click()

    sure, between = colour_at(page, "confidence", 0.1), colour_at(page, "confidence", 0.49)
    hidden = colour_at(page, "confidence", 0.9)

    assert sum(sure[:3]) < sum(between[:3])  # sure is dark
    assert hidden == [0, 0, 0, 0]
    assert page.locator(".ramp").is_visible()


def test_the_swipe_moves_between_picture_and_labels(page):
    page.get_by_role("button", name="Swipe").click()
    handle = page.get_by_role("slider", name="Picture before")
    box = page.locator(".stage").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, middle[1], steps=4)
    page.mouse.up()
    dragged = handle.get_attribute("aria-valuenow")
    page.keyboard.press("End")
    labels = page.locator("canvas[data-layer=labels]")
    clipped = labels.evaluate("(canvas) => canvas.style.clipPath")
    page.get_by_role("button", name="Swipe").click()

    assert dragged == "20"
    assert "100%" in clipped
    assert labels.evaluate("(canvas) => canvas.style.clipPath") == ""


def test_wheel_buttons_and_keys_zoom_and_the_pixel_stays_under_the_pointer(page):
    fitted = level(page)
    point(page, 0.45)

    page.mouse.wheel(0, -900)
    page.wait_for_function("(before) => parseInt(document.querySelector('.level').innerText) > 2 * before", arg=fitted)
    stayed = colour_at(page, "labels", 0.45)
    wheeled = level(page)
    page.get_by_role("button", name="Zoom in").click()
    nearer = level(page)
    page.locator(".surface").focus()
    page.keyboard.press("-")
    farther = level(page)
    page.keyboard.press("0")

    assert stayed == [255, 0, 0, 255]
    assert nearer > wheeled
    assert farther == wheeled
    assert level(page) == fitted


def test_the_wheel_scrolls_the_page_where_it_cannot_zoom_out(opens, colours):
    page = opens(colours[0], width=800)
    choose(page, FLAG)
    point(page, 0.5, 0.3)

    page.mouse.wheel(0, 200)

    page.wait_for_function("scrollY > 50")


def test_dragging_moves_what_was_zoomed(page):
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    before = colour_at(page, "labels", 0.6)

    point(page, 0.3)
    page.mouse.down()
    point(page, 0.9)
    page.mouse.up()

    assert before == [0, 0, 255, 255]
    assert colour_at(page, "labels", 0.6) == [255, 0, 0, 255]


def test_fingers_point_and_pinch(opens, colours):
    page = opens(colours[0], width=390, has_touch=True, is_mobile=True)
    choose(page, FLAG)
    fitted = level_of_hidden(page)
    box = page.locator(".surface").bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2

    page.touchscreen.tap(x, y)
    tapped = page.locator(".tip").inner_text()
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80)):
        points = [{"x": x - apart / 2, "y": y, "id": 0}, {"x": x + apart / 2, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    assert tapped.startswith("red")
    assert level_of_hidden(page) > 2.5 * fitted


def level_of_hidden(page) -> int:
    return int(re.sub(r"\D", "", page.locator(".level").evaluate("(output) => output.value")))


def test_photos_that_a_camera_turned_line_up_with_their_labels(opens, colours, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right
    Image.fromarray(np.rot90(flag(80, 120)).copy()).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    page = opens(colours[0])

    choose(page, tmp_path / "turned.jpg")

    assert "120 × 80" in page.locator("#facts").inner_text()
    for across, channel in ((0.25, 0), (0.75, 2)):
        assert colour_at(page, "labels", across)[channel] == 255
        assert colour_at(page, "picture", across)[channel] > 240


def test_a_format_that_the_browser_cannot_show_is_labelled_all_the_same(opens, colours):
    file = io.BytesIO()
    Image.fromarray(flag(80, 120)).save(file, format="TIFF")
    page = opens(colours[0])

    choose(page, {"name": "flag.tif", "mimeType": "image/tiff", "buffer": file.getvalue()})

    assert "cannot show the picture" in page.locator("#facts").inner_text()
    assert colour_at(page, "labels", 0.25) == [255, 0, 0, 255]


def test_large_photos_are_drawn_small_and_keep_their_size(page):
    script = """async () => {
        const { readPicture } = await import("/picture.js");
        const canvas = new OffscreenCanvas(5000, 4000);
        canvas.getContext("2d").fillRect(0, 0, 9, 9);
        const read = await readPicture(await canvas.convertToBlob());
        return [read.width, read.height, read.canvas.width * read.canvas.height];
    }"""

    width, height, drawn = page.evaluate(script)

    assert (width, height) == (5000, 4000)
    assert drawn <= 12.1e6


@pytest.mark.parametrize(("format_", "name"), [("png", "flag.png"), ("overlay", "flag_overlay.jpg"), ("json", "flag.json")])
def test_downloads_are_what_the_service_gives(page, colours, format_, name):
    with page.expect_download() as download:
        page.locator(f"[data-format={format_}]").click()
    given = page.request.post(f"{colours[0]}v1/segment?format={format_}", data=FLAG["buffer"]).body()

    assert download.value.suggested_filename == name
    assert Path(download.value.path()).read_bytes() == given


def test_what_is_no_picture_is_said_and_the_last_result_stays(page):
    page.set_input_files("#file", NO_PICTURE)

    page.wait_for_selector(".notice")

    assert "notes.txt cannot be labelled" in said(page)
    assert page.locator("#name").inner_text() == "flag.png"
    assert page.locator(LABELLED).count() == 2
    page.get_by_role("button", name="Close").click()
    assert page.locator(".notice").count() == 0


@pytest.mark.parametrize(("kind", "words"), [("bytes", "at most 1.0 MB"), ("pixels", "at most 3.0 megapixels")])
def test_too_large_is_said_before_anything_is_sent(opens, several, kind, words):
    heavy = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    picture = heavy if kind == "bytes" else flag(2000, 2000)
    page = opens(several)
    sent = []
    page.on("request", lambda request: sent.append(request.method))

    page.set_input_files("#file", {"name": "large.png", "mimeType": "image/png", "buffer": png(picture)})
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

    assert page.locator(".progress").is_hidden()
    assert page.locator(".notice").count() == 0
    page.close()


def test_a_server_that_is_gone_is_said_and_asked_again(browser, colours):
    page = browser.new_page()
    page.goto(colours[0])
    page.wait_for_selector(READY)
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))

    page.set_input_files("#file", FLAG)
    page.wait_for_selector(".notice[data-kind=gone]")
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


REFUSE = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"
RED = """navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [160, 120];
    const pen = canvas.getContext("2d");
    setInterval(() => { pen.fillStyle = "#f00"; pen.fillRect(0, 0, 160, 120); }, 20);
    return canvas.captureStream();
}"""


def test_a_camera_that_is_refused_is_said(opens, colours):
    page = opens(colours[0])
    page.evaluate(f"() => {{ {REFUSE} }}")

    page.get_by_role("button", name="Take a photo").click()

    assert "The camera was not allowed" in said(page)


def test_a_photo_from_the_camera_is_labelled(opens, colours):
    page = opens(colours[0])
    page.evaluate(f"() => {{ {RED} }}")

    page.get_by_role("button", name="Take a photo").click()
    page.wait_for_function("document.querySelector('.camera video')?.videoWidth === 160")
    page.wait_for_timeout(100)
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_selector(LABELLED)

    assert page.locator(".legend .name").all_inner_texts() == ["red"]
    assert page.locator("dialog").count() == 0


def test_where_a_page_may_see_no_camera_the_device_takes_the_photo(opens, colours):
    page = opens(colours[0])
    page.evaluate("() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")

    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    chooser.value.set_files(FLAG)
    page.wait_for_selector(LABELLED)

    assert chooser.value.element.get_attribute("capture") == "environment"


def test_an_example_is_one_click_away(opens, several):
    page = opens(several)

    page.get_by_role("button", name="street.jpg").click()
    page.wait_for_selector(LABELLED)

    assert page.locator("#name").inner_text() == "street.jpg"
    assert "tiny" in page.locator("#facts").inner_text()


def test_another_model_labels_the_same_picture_and_a_broken_one_cannot_be_chosen(opens, several):
    page = opens(several)
    choose(page, FLAG)

    page.get_by_label("Model").select_option("other")
    page.wait_for_function("document.getElementById('facts').textContent.includes('other')")

    assert page.locator("#name").inner_text() == "flag.png"
    assert page.locator("option[value=broken]").is_disabled()


def test_nothing_comes_from_another_host(opens, colours):
    page = opens(colours[0])
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    page.reload()
    page.wait_for_selector(READY)
    choose(page, FLAG)

    outside = [url for url in asked if not url.startswith((colours[0], f"blob:{colours[0]}"))]
    assert len(asked) > 10
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(opens, several, scheme):
    page = opens(several, width=360, color_scheme=scheme, has_touch=True, is_mobile=True)
    widths = [page.evaluate("document.documentElement.scrollWidth")]

    choose(page, FLAG)
    page.get_by_role("button", name="Swipe").click()
    page.get_by_text("Confidence", exact=True).click()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    page.set_input_files("#file", NO_PICTURE)
    page.wait_for_selector(".notice")
    widths.append(page.evaluate("document.documentElement.scrollWidth"))

    assert widths == [360, 360, 360]


def tokens(sheet: Path) -> list[dict[str, str]]:
    """The colours of a style sheet: in light, in dark."""
    text = sheet.read_text(encoding="utf-8")
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", text, re.S)[:2]]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    bright = []
    for colour in (one, other):
        channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        bright.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(bright) + 0.05) / (min(bright) + 0.05)


def test_text_can_be_read_and_page_and_report_share_their_colours():
    report = Path(cgrseg.report.__file__).parents[1] / "assets/report/report.css"
    pairs = [("ink", "paper"), ("faint", "paper"), ("faint", "card"), ("faint", "soft"), ("ink", "soft"), ("ink", "raised")]
    pairs += [("accent", "paper"), ("on-accent", "accent"), ("paper", "ink"), ("accent", "soft")]

    for ours, theirs in zip(tokens(PAGE / "style.css"), tokens(report), strict=True):
        shared = ours.keys() & theirs.keys()
        assert len(shared) >= 9
        assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
        assert {pair: contrast(*map(ours.get, pair)) for pair in pairs if contrast(*map(ours.get, pair)) < 4.5} == {}


def test_the_page_needs_no_build_and_no_other_host():
    files = {file.name: file.read_text(encoding="utf-8") for file in PAGE.iterdir()}

    for name, text in files.items():
        outside = [url for url in re.findall(r"https?://[^\s\"')]+", text) if url != "http://www.w3.org/2000/svg"]
        assert outside == [], name
    for name in re.findall(r'from "\./([\w.]+)"', "".join(files.values())):
        assert name in files

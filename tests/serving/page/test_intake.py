"""The ways an image comes to the page, and which images."""

import io

import numpy as np
import pytest
from PIL import Image
from support.colour_engine import flag
from support.paged import FLAG, LABELLED, choose, colour_at, said
from support.served import wait_until

pytestmark = pytest.mark.slow

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
def test_an_image_that_comes_in_is_labelled(opens, colours, way):
    page = opens(colours[0])

    if way == "choose":
        page.set_input_files("#file", FLAG)
    else:
        page.evaluate(BRING, [way, "flag.png", "image/png", list(FLAG["buffer"])])
    page.wait_for_selector(LABELLED)

    assert page.locator("#name").inner_text() == "flag.png"
    assert "120 \u00d7 80" in page.locator("#facts").inner_text()
    assert page.locator(".legend .name").all_inner_texts() == ["red", "blue"]
    assert colour_at(page, "labels", 0.25) == [255, 0, 0, 255]
    assert colour_at(page, "labels", 0.75) == [0, 0, 255, 255]
    assert page.locator("#over").is_hidden()


@pytest.mark.parametrize(("way", "words"), [("drop", "That was no file"), ("paste", "There is no image")])
def test_what_is_no_file_is_not_fetched(opens, colours, way, words):
    page = opens(colours[0])

    page.evaluate(BRING, [way, "", "", None])

    assert words in said(page)


def test_photos_that_a_camera_turned_line_up_with_their_labels(opens, colours, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right
    Image.fromarray(np.rot90(flag(80, 120)).copy()).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    page = opens(colours[0])

    choose(page, tmp_path / "turned.jpg")

    assert "120 \u00d7 80" in page.locator("#facts").inner_text()
    for across, channel in ((0.25, 0), (0.75, 2)):
        assert colour_at(page, "labels", across)[channel] == 255
        assert colour_at(page, "image", across)[channel] > 240


def test_a_format_that_the_browser_cannot_show_is_labelled_all_the_same(opens, colours):
    file = io.BytesIO()
    Image.fromarray(flag(80, 120)).save(file, format="TIFF")
    page = opens(colours[0])

    choose(page, {"name": "flag.tif", "mimeType": "image/tiff", "buffer": file.getvalue()})

    assert "cannot show the image" in page.locator("#facts").inner_text()
    assert colour_at(page, "labels", 0.25) == [255, 0, 0, 255]


def test_large_photos_are_drawn_small_and_keep_their_size(page):
    script = """async () => {
        const { readImage } = await import("/image.js");
        const canvas = new OffscreenCanvas(5000, 4000);
        canvas.getContext("2d").fillRect(0, 0, 9, 9);
        const read = await readImage(await canvas.convertToBlob());
        return [read.width, read.height, read.canvas.width * read.canvas.height];
    }"""

    width, height, drawn = page.evaluate(script)

    assert (width, height) == (5000, 4000)
    assert drawn <= 12.1e6


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
    wait_until(lambda: page.locator(".camera video").evaluate("(video) => video.videoWidth") == 160)
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

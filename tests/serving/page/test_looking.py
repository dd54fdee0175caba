"""What one does with a labelled image."""

import re
from pathlib import Path

import pytest
from support.colour_engine import flag
from support.paged import FLAG, choose, choose_another, colour_at, level, level_of_hidden, point
from support.served import png, wait_until

pytestmark = pytest.mark.slow


def test_the_slider_sets_how_far_the_labels_cover_the_image(page):
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


def test_arrow_keys_read_the_image_to_those_who_listen(page):
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
    image = flag(80, 120)
    image[:, 60:] = 100, 100, 101  # hardly blue
    choose_another(page, {"name": "grey.png", "mimeType": "image/png", "buffer": png(image)})

    page.get_by_text("Confidence", exact=True).click()
    sure, unsure = colour_at(page, "confidence", 0.1), colour_at(page, "confidence", 0.9)
    page.get_by_role("checkbox", name="blue").click()

    assert sum(sure[:3]) < sum(unsure[:3])  # sure is dark
    assert colour_at(page, "confidence", 0.9) == [0, 0, 0, 0]
    assert page.locator(".ramp").is_visible()


def test_the_swipe_moves_between_image_and_labels(page):
    page.get_by_role("button", name="Swipe").click()
    handle = page.get_by_role("slider", name="Image before")
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

    page.mouse.wheel(0, -500)
    wait_until(lambda: level(page) > 2 * fitted)
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

    wait_until(lambda: page.evaluate("scrollY") > 50)


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


@pytest.mark.parametrize(
    ("format_", "name"), [("png", "flag.png"), ("overlay", "flag_overlay.jpg"), ("json", "flag.json")]
)
def test_downloads_are_what_the_service_gives(page, colours, format_, name):
    with page.expect_download() as download:
        page.locator(f"[data-format={format_}]").click()
    given = page.request.post(f"{colours[0]}v1/segment?format={format_}", data=FLAG["buffer"]).body()

    assert download.value.suggested_filename == name
    assert Path(download.value.path()).read_bytes() == given


def test_another_model_labels_the_same_image_and_a_broken_one_cannot_be_chosen(opens, several):
    page = opens(several)
    choose(page, FLAG)

    page.get_by_label("Model").select_option("other")
    page.locator("#facts", has_text="other").wait_for()

    assert page.locator("#name").inner_text() == "flag.png"
    assert page.locator("option[value=broken]").is_disabled()

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from support.reported import NAMES, STRANGE, content_of

from cgrseg.evaluation import calibrate, evaluate_part
from cgrseg.report import fill_page, write_report

READY = "html[data-ready]"


@pytest.fixture
def page(visit, report):
    """The report in a window of a desktop."""
    opened = visit(report.as_uri())
    opened.wait_for_selector(READY)
    return opened


@pytest.fixture(scope="module")
def many(report, tmp_path_factory):
    """The report with 150 classes, of which the last ten are absent."""
    rng = np.random.default_rng(0)
    content = content_of(report)
    content["classes"] = [
        {"name": f"class {index}", "colour": rng.integers(0, 256, 3).tolist(), "iou": rng.random(), "recall": 0.5}
        | {"boundary_iou": 0.5, "precision": None, "share": 1 / 140, "pixels": 100, "pictures": 1, "gain": None}
        for index in range(150)
    ]
    for row in content["classes"][140:]:
        row |= {"iou": None, "boundary_iou": None, "recall": None, "share": 0, "pixels": 0, "pictures": 0}
    content["matrix"] = rng.integers(0, 9, (150, 150)).tolist()
    for index in range(140, 150):
        content["matrix"][index] = [0] * 150
        for row in content["matrix"]:
            row[index] = 0
    path = tmp_path_factory.mktemp("many") / "many.html"
    path.write_text(fill_page(json.loads(json.dumps(content))), encoding="utf-8")
    return path


def names_of(page) -> list[str]:
    return page.locator("#classes tbody th").all_inner_texts()


def said_of(page) -> str:
    return re.sub(r"\s+", " ", page.locator("#images .said").inner_text())


def pixel_of(page, x: int, y: int) -> list[int]:
    """Red, green, blue and opacity of a layer at a place."""
    script = """(canvas, [x, y]) => {
        const pen = new OffscreenCanvas(1, 1).getContext("2d");
        pen.drawImage(canvas, -x, -y);
        return [...pen.getImageData(0, 0, 1, 1).data];
    }"""
    return page.locator(".pane canvas").first.evaluate(script, [x, y])


@pytest.mark.slow
def test_the_page_shows_its_numbers_and_strange_names_as_they_are(page, scene):
    assert page.locator("#miou").inner_text() == f"{100 * scene.evaluation.scores.miou:.1f}%"
    assert names_of(page) == list(STRANGE.names)
    assert page.locator("b, i b").count() == 0
    assert page.locator("tr.absent").inner_text().split()[1] == "absent"
    assert page.title() == "<b>odd on your data val"
    assert [part.inner_text() for part in page.locator("nav a").all()] == [
        "Classes",
        "Images",
        "Confusions",
        "Confidence",
    ]


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_the_classes_and_another_turns_them_around(page):
    iou = page.locator("#classes thead th[data-key=iou]")

    iou.locator("button").click()
    falling = names_of(page)
    iou.locator("button").press("Enter")
    rising = names_of(page)

    red, green, blue = STRANGE.names
    assert falling == [red, blue, green]
    assert rising == [blue, red, green]
    assert iou.get_attribute("aria-sort") == "ascending"


@pytest.mark.slow
def test_what_lies_under_the_pointer_is_named(page):
    page.get_by_title(NAMES[2]).click()
    page.locator("h3.file", has_text=NAMES[2]).wait_for()
    canvas = page.locator(".pane canvas")
    box = canvas.bounding_box()

    canvas.hover(position={"x": 0.75 * box["width"], "y": 0.75 * box["height"]})
    wrong = said_of(page)
    canvas.hover(position={"x": 0.25 * box["width"], "y": 0.75 * box["height"]})
    right = said_of(page)
    canvas.hover(position={"x": 0.25 * box["width"], "y": 3})
    unlabelled = said_of(page)

    red, _, blue = STRANGE.names
    assert re.search(rf"truth ?{re.escape(red)} ?prediction ?{blue} ?confidence ?\d+ % ?wrong", wrong)
    assert re.search(rf"truth ?{re.escape(red)} ?prediction ?{re.escape(red)} ?confidence ?\d+ % ?right", right)
    assert re.search(rf"truth ?not labelled ?prediction ?{re.escape(red)} ?confidence ?\d+ %$", unlabelled)


@pytest.mark.slow
def test_arrow_keys_and_touch_read_an_image_too(visit, report):
    phone = visit(report.as_uri(), width=390, has_touch=True, is_mobile=True)
    canvas = phone.locator(".pane canvas")
    canvas.scroll_into_view_if_needed()

    canvas.tap()
    tapped = said_of(phone)
    canvas.press("ArrowRight")
    canvas.press("ArrowRight")

    assert tapped.startswith("truth")
    assert phone.locator(".cross").get_attribute("style") != "left:50%;top:50%"


@pytest.mark.slow
def test_layers_switch_and_show_what_they_are_called(page, scene):
    page.get_by_title(NAMES[2]).click()
    page.locator("h3.file", has_text=NAMES[2]).wait_for()
    seen = {}
    for layer in ("truth", "labels", "errors"):
        page.locator(f"input[name=layer][value={layer}]").check(force=True)
        assert page.locator(".pane canvas").get_attribute("data-layer") == layer
        seen[layer] = [pixel_of(page, x, 40)[:3] for x in (10, 54)]
    page.locator("input[name=layer][value=tiles]").check(force=True)

    red, _, blue = map(list, scene.evaluation.classes.colours)
    assert seen["truth"] == [red, red]
    assert seen["labels"] == [red, blue]
    assert seen["errors"][1] == [214, 57, 39]
    assert page.locator(".pane").count() == 4


@pytest.mark.slow
def test_the_slider_and_a_class_change_the_layer(page):
    canvas = page.locator(".pane canvas")
    before = pixel_of(page, 54, 40)

    page.locator(".opacity input").fill("20")
    opacity = canvas.evaluate("canvas => canvas.style.opacity")
    page.locator(".chip", has_text=STRANGE.names[0]).click()
    alone = pixel_of(page, 54, 40)

    assert opacity == "0.2"
    assert before[3] == 255
    assert alone[3] < 60


@pytest.mark.slow
def test_a_cell_of_the_confusion_matrix_is_described_in_words(page):
    canvas = page.locator(".matrix canvas")
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        canvas.press(key)

    said = page.locator("#confusion .said").inner_text()

    red, _, blue = STRANGE.names
    assert f"true {red} labelled as {blue}: 50.0 % (6,400 pixels)" in re.sub(r"\s+", " ", said)
    assert page.locator("#confusion ol li").count() == 1


@pytest.mark.slow
def test_no_page_is_wider_than_its_window(visit, report, many):
    seen = {}
    for file in (report, many):
        page = visit(file.as_uri())
        page.wait_for_selector(READY)
        for width, scheme in ((1280, "light"), (390, "dark"), (390, "light")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            seen[file.name, width, scheme] = page.evaluate("document.documentElement.scrollWidth") - width

    assert set(seen.values()) == {0}, seen


@pytest.mark.slow
def test_many_classes_are_cut_filtered_and_drawn(visit, many):
    page = visit(many.as_uri())
    rows = page.locator("#classes tbody tr")

    cut = rows.locator("visible=true").count()
    page.get_by_role("button", name="Show all 150 classes").click()
    all_of_them = rows.locator("visible=true").count()
    page.get_by_label("Filter classes by name").fill("CLASS 14")

    assert (cut, all_of_them) == (30, 150)
    assert names_of(page) == ["class 14", *(f"class {index}" for index in range(140, 150))]
    assert "10 classes in neither are left out" in page.locator("#confusion .lead").inner_text()
    assert page.locator("#confusion ol li").count() == 10


@pytest.mark.slow
def test_a_comparison_shows_what_was_gained(visit, write, scene, tmp_path):
    page = visit(write(tmp_path / "both.html", against=("other & <older>", scene.evaluation)).as_uri())

    assert "other & <older>" in page.locator("#comparison .lead").inner_text()
    assert page.locator("#comparison .gains strong").first.inner_text() == "0.00"
    assert page.locator("#classes thead th").last.inner_text() == "Gain"


@pytest.mark.slow
def test_the_log_of_a_run_becomes_curves(visit, report, tmp_path):
    content = content_of(report)
    content["history"] = {
        "losses": [[step, 2 / step] for step in range(1, 40)],
        "mious": [{"step": 10, "split": "val", "miou": 0.3}, {"step": 39, "split": "val", "miou": 0.5}],
    }
    (tmp_path / "run.html").write_text(fill_page(content), encoding="utf-8")

    page = visit((tmp_path / "run.html").as_uri())

    page.locator("#training svg").nth(1).wait_for()
    assert "the best is 50.0 % at step 39" in page.locator("#training").inner_text()


@pytest.mark.slow
def test_a_split_without_labels_still_gives_a_page(visit, scene, tmp_path):
    unlabelled = replace(scene.dataset, pairs=tuple(pair for pair in scene.dataset.pairs if pair.name == NAMES[-1]))
    scored = evaluate_part(scene.segmenter, unlabelled, boundary=True, calibration=True)
    rival = ("other", scored)

    page = visit(write_report(tmp_path / "empty.html", scored, scene.segmenter, unlabelled, against=rival).as_uri())

    page.wait_for_selector(READY)
    assert page.locator("tr.absent").count() == 3
    assert page.locator("#images").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_what_calibrating_gave_is_shown_before_and_after(width, write, scene, visit, tmp_path):
    halved = replace(scene.dataset, pairs=scene.dataset.pairs[:-1] * 2)
    result = calibrate(scene.segmenter, halved).as_tree() | {"file": "new/<b>.safetensors"}
    page = visit(write(tmp_path / "calibrated.html", calibrated=result).as_uri(), width=width)
    page.wait_for_selector(READY)

    text = page.locator("#confidence .calibrated").inner_text()

    assert f"temperature of {result['temperature']:.3f} instead of 1.000" in text
    assert "new/<b>.safetensors" in text
    for errors in (result, *result["halves"]):
        assert f"{100 * errors['before']:.2f} \u2192 {100 * errors['after']:.2f} %" in text
    assert page.locator("#confidence path.after").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_without_calibrating_nothing_is_said_of_it(page):
    assert page.locator(".calibrated, path.after").count() == 0

"""How the page looks, and what it is made of."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.paged import FLAG, NO_IMAGE, PAGE, READY, choose

import cgrseg

PALETTE = Path(cgrseg.__file__).parent / "assets/style/palette.css"


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(opens, several, scheme):
    page = opens(several, width=360, color_scheme=scheme, has_touch=True, is_mobile=True)
    widths = [page.evaluate("document.documentElement.scrollWidth")]

    choose(page, FLAG)
    page.get_by_role("button", name="Swipe").click()
    page.get_by_text("Confidence", exact=True).click()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    page.set_input_files("#file", NO_IMAGE)
    page.wait_for_selector(".notice")
    widths.append(page.evaluate("document.documentElement.scrollWidth"))

    assert widths == [360, 360, 360]


def tokens(sheet: Path) -> list[dict[str, str]]:
    """The colours of a style sheet: in light, in dark."""
    text = sheet.read_text(encoding="utf-8")
    return [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    ]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    bright = []
    for colour in (one, other):
        channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        bright.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(bright) + 0.05) / (min(bright) + 0.05)


def test_the_text_of_all_pages_can_be_read():
    pairs = [
        ("ink", "paper"),
        ("faint", "paper"),
        ("faint", "card"),
        ("faint", "soft"),
        ("ink", "soft"),
        ("ink", "raised"),
        ("accent", "paper"),
        ("on-accent", "accent"),
        ("paper", "ink"),
        ("accent", "soft"),
    ]

    light, dark = tokens(PALETTE)

    assert light.keys() == dark.keys()
    for colours in (light, dark):
        assert {
            pair: contrast(*map(colours.get, pair)) for pair in pairs if contrast(*map(colours.get, pair)) < 4.5
        } == {}


def test_the_page_needs_no_build_and_no_other_host():
    files = {file.name: file.read_text(encoding="utf-8") for file in (*PAGE.iterdir(), PALETTE)}

    for name, text in files.items():
        outside = [url for url in re.findall(r"https?://[^\s\"')]+", text) if url != "http://www.w3.org/2000/svg"]
        assert outside == [], name
    for name in re.findall(r'from "\./([\w.]+)"', "".join(files.values())):
        assert name in files

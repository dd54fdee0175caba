"""The page of the service as its visitor sees it."""

import re
from pathlib import Path

from support.colour_engine import flag
from support.served import png

import cgrseg.serving

PAGE = Path(cgrseg.serving.__file__).parent / "page"
READY = "html[data-ready]"
LABELLED = "#work:not(.bare) .legend li"
FLAG = {"name": "flag.png", "mimeType": "image/png", "buffer": png(flag(80, 120))}
NO_IMAGE = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not an image\n" * 9}


def choose(page, file) -> None:
    page.set_input_files("#file", file)
    page.wait_for_selector(LABELLED)


def choose_another(page, file) -> None:
    page.set_input_files("#file", file)
    page.locator("#work:not(.bare) #name", has_text=file["name"]).wait_for()


def colour_at(page, layer: str, across: float, down: float = 0.5) -> list[int]:
    """Red, green, blue and opacity of a layer at a place of the stage, 0..1 each way, once it is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    script = """(canvas, [across, down]) => {
        const pen = new OffscreenCanvas(1, 1).getContext("2d");
        pen.drawImage(canvas, -Math.floor(across * canvas.width), -Math.floor(down * canvas.height));
        return [...pen.getImageData(0, 0, 1, 1).data];
    }"""
    return page.locator(f"canvas[data-layer={layer}]").evaluate(script, [across, down])


def point(page, across: float, down: float = 0.5) -> None:
    box = page.locator(".surface").bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def level(page) -> int:
    return int(re.sub(r"\D", "", page.locator(".level").inner_text()))


def level_of_hidden(page) -> int:
    return int(re.sub(r"\D", "", page.locator(".level").evaluate("(output) => output.value")))


def said(page) -> str:
    return page.locator(".notice").inner_text()

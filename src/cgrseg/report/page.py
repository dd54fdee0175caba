"""The page itself: a template, its style and its scripts, joined with what it shows into one file.

assets/report/report.html -- {{title}} {{style}} {{data}} {{script}} -- one file that loads nothing
"""

import html
import json
import re
from importlib import resources

SCRIPTS = ("base", "charts", "headline", "classes", "confusion", "confidence", "pictures", "training", "start")
"""In the order in which a browser reads them."""


def fill_page(content: dict) -> str:
    """The page that shows this content."""
    title = content["title"]
    parts = {
        "title": html.escape(f"{title['weights']} on {title['data']} {title['split']}"),
        "style": _asset("report.css"),
        "script": "\n".join(_asset(f"{name}.js") for name in SCRIPTS),
        "data": as_script_data(content),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("report.html"))


def as_script_data(content: dict) -> str:
    """JSON that can stand in a <script>: no value in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (resources.files("cgrseg") / "assets" / "report" / name).read_text(encoding="utf-8")

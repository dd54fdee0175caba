"""Hooks of `make docs`: pages and files from outside this folder, at addresses inside the site.

README.md       -> index.md          links to docs/... lose that folder
CONTRIBUTING.md -> contributing.md
CHANGELOG.md    -> changelog.md
../recipes/x    -> files/recipes/x   whatever a page links to outside this folder is copied

So one text serves readers of the repository and of the site.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
"""The target of a relative link, without its anchor."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's top folder, and every file outside this folder that a page links to."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=LINK.sub(lambda match: _from_top(match[1]), text)))
    pages = list(files.documentation_pages())
    linked = {_place(page, link) for page in pages for link in LINK.findall(page.content_string)}
    outside = {re.sub(r"^(\.\./|files/)", "", place) for place in linked if place.startswith(("../", "files/"))}
    for place in sorted(outside):
        if (ROOT / place).is_file():
            files.append(File.generated(config, f"files/{place}", abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  mkdocs' own
    """Point links that leave this folder to the copies."""

    def inside(match: re.Match[str]) -> str:
        place = _place(page.file, match[1])
        return "../" * page.file.src_uri.count("/") + f"files/{place[3:]}" if place.startswith("../") else match[1]

    return LINK.sub(inside, markdown)


def _place(page: File, link: str) -> str:
    """Where a link of a page leads, seen from this folder."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page.src_uri), link))


def _from_top(link: str) -> str:
    """A link of a page in the top folder, as seen from the pages here."""
    if link in PAGES:
        return PAGES[link]
    return link.removeprefix("docs/") if link.startswith("docs/") else f"files/{link}"

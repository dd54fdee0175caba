"""Fonts of drawings: Pillow's own, which is Latin, or one of the system's that has the letters of a text.

text -- letters that Pillow's font lacks -- fonts of the system: fontconfig's, or those in the usual folders -- font
                                         -- none has them: names without accents, numbers of classes, dots
"""

import logging
import shutil
import subprocess
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)
"""Where systems keep fonts, for those without fontconfig."""
SUFFIXES = (".ttf", ".ttc", ".otf")
UNWANTED = ("bold", "italic", "oblique", "mono", "serif", "condensed", "black", "light", "thin", "emoji", "heavy")
"""Words in the names of fonts that are taken only if there is no other."""
MOST_FONTS = 500
"""Largest number of fonts that are opened in search of letters."""
PROBE_PX = 16
MISSING = "\U0010fffe"
"""A code that is no letter: every font draws its sign for a missing one."""
BLANK = "·"
"""Stands for a letter that no font has."""

ELLIPSIS = "…"
PLAIN = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L"})
"""Latin letters that are no letter with an accent."""

logger = logging.getLogger(__name__)


def font(text_px: int, text: str = "") -> Font:
    """The font of a text: Pillow's own if it has all letters, else one of the system's if there is one that has."""
    file = _file_for(_letters(text))
    return ImageFont.truetype(file, text_px) if file else ImageFont.load_default(text_px)


def is_drawable(text: str) -> bool:
    """Whether a font has all letters of a text."""
    letters = _letters(text)
    return not letters or _has(ImageFont.load_default(PROBE_PX), letters) or _file_for(letters) is not None


def drawable(text: str) -> str:
    """A text with a dot for each letter that no font has, or none that has the letters before it, too."""
    if is_drawable(text):
        return text
    kept, result = BLANK, ""
    for letter in text:
        is_kept = is_drawable(kept + letter)
        kept += letter if is_kept else ""
        result += letter if is_kept else BLANK
    return result


def ellipsis_for(text: str) -> str:
    """The sign that stands for the rest of a text; empty if the font of the text has none."""
    return ELLIPSIS if is_drawable(text + ELLIPSIS) else ""


def class_name(name: str, label: int) -> str:
    """A class as it is drawn: its name; without accents, or by number, with a warning, if no font has its letters."""
    if is_drawable(name):
        return name
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", name.translate(PLAIN)) if not unicodedata.combining(letter)
    )
    shown = plain if is_drawable(plain) else f"class {label}"
    if not _warned:
        _warned.add(name)
        logger.warning(
            "no font of this machine has the letters of the class %s, so drawings show %s, and others like it "
            "in the same way; install one that has, such as Noto (on Debian: fonts-noto-core, fonts-noto-cjk)",
            *(name, shown),
        )
    return shown


_warned = set[str]()
"""The class that a warning was given about: one is enough."""


def _letters(text: str) -> str:
    """The different visible letters of a text, in order."""
    visible = (letter for letter in text if unicodedata.category(letter) not in ("Cf", "Cc", "Zs", "Zl", "Zp"))
    return "".join(sorted(set(visible)))


@lru_cache(maxsize=4096)
def _file_for(letters: str) -> str | None:
    """The file of a system font that has all letters; None if Pillow's own has them, or no font."""
    if not letters or _has(ImageFont.load_default(PROBE_PX), letters):
        return None
    for file in _candidates(letters):
        try:
            found = ImageFont.truetype(file, PROBE_PX)
        except OSError:  # a bitmap font, or a damaged file
            continue
        if _has(found, letters):
            return file
    return None


def _has(candidate: Font, letters: str) -> bool:
    """Whether a font has a picture of its own for each letter."""
    sign = _drawn(candidate, MISSING)
    return all(_drawn(candidate, letter) != sign for letter in letters)


def _drawn(candidate: Font, letter: str) -> tuple[object, bytes]:
    mask = candidate.getmask(letter)
    return mask.size, bytes(mask)  # type: ignore[arg-type]  # it is a buffer, which Pillow's annotations leave out


def _candidates(letters: str) -> list[str]:
    """Files of fonts, the plainest first; fontconfig names only those that have the letters."""
    tool = shutil.which("fc-list")
    if tool:
        wanted = " ".join(f"{ord(letter):x}" for letter in letters)
        done = subprocess.run(  # noqa: S603  a list of arguments, and only code points vary
            [tool, f":charset={wanted}", "--format", "%{file}\n"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        files = done.stdout.splitlines()
    else:
        files = list(_installed())
    kept = {file for file in files if file.lower().endswith(SUFFIXES)}
    return sorted(kept, key=_plainness)[:MOST_FONTS]


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    folders = (Path(folder).expanduser() for folder in FOLDERS)
    return tuple(str(file) for folder in folders if folder.is_dir() for file in folder.rglob("*") if file.is_file())


def _plainness(file: str) -> tuple[int, str]:
    name = Path(file).name.lower()
    return sum(word in name for word in UNWANTED) * 2 - ("sans" in name) - ("regular" in name), file

"""Names of images and label files that are equal to a person: apart from case and from the Unicode form.

macOS writes accents as marks of their own (NFD) where other systems write letters (NFC), and cameras write `IMG_1.JPG`.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def folded(name: str) -> str:
    """A name in lower case and Unicode's composed form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def renamed_like(files: dict[str, T], names: Iterable[str]) -> dict[str, T]:
    """Files by name, with the names of `names` for those that differ from one of them in case or Unicode form only.

    A name that exists in both stays, and so does one that several names are equal to.
    """
    names = set(names)
    waiting = _by_folded(names - files.keys())
    spare = _by_folded(files.keys() - names)
    new = {
        group[0]: waiting[key][0] for key, group in spare.items() if len(group) == 1 and len(waiting.get(key, ())) == 1
    }
    return {new.get(name, name): file for name, file in files.items()}


def _by_folded(names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[folded(name)].append(name)
    return dict(groups)

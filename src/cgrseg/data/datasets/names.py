"""Names of images and of label files: when two are the same, and what one of them may have at its end."""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

T = TypeVar("T")

SEPARATORS = "_-. "
"""What may stand between the name of an image and what a label file adds to it."""


@dataclass(frozen=True)
class Endings:
    """What the names of all images, and of all label files, have more than the names that they share."""

    images: str = ""
    labels: str = ""


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


def common_endings(images: Collection[str], labels: Collection[str]) -> Endings:
    """The endings without which every label file has the name of an image; none if one has such a name already."""
    if not labels or set(images) & set(labels):
        return Endings()
    for image_end in ("", *_endings_of(images)):
        names = {folded(name.removesuffix(image_end)) for name in images}
        for label_end in _endings_of(labels):
            if all(folded(name.removesuffix(label_end)) in names for name in labels):
                return Endings(image_end, label_end)
    return Endings()


def _endings_of(names: Collection[str]) -> list[str]:
    """What all names end in, from a separator on; the longest first."""
    columns = zip(*(reversed(name) for name in names), strict=False)
    common = "".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))[::-1]
    shortest = min(map(len, names), default=0)
    cuts = [index for index, character in enumerate(common) if character in SEPARATORS]
    return [common[cut:] for cut in cuts if len(common) - cut < shortest]

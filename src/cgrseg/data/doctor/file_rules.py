"""Rules about files: images that cannot be decoded, and label maps that differ in size from their images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cgrseg.data.doctor.examination import Examined, label_files
from cgrseg.data.doctor.findings import Finding, about, converted, set_aside, unturned
from cgrseg.data.tones import DARK, fit_levels

Misfit = Literal["", "turned", "across", "size"]
"""How a label map's size differs from its image's."""
SMALLEST_PX = 32
"""Shortest side of an image: the coarsest features of smaller ones have a single row or column."""


def image_findings(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about images that cannot be read or are unusual."""
    return [*_unreadable(pairs, root), *_unusual([pair for pair in pairs if not pair.image.problem], root)]


def _unreadable(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    total = len(pairs)
    empty = [pair for pair in pairs if pair.image.is_empty]
    broken = [pair for pair in pairs if pair.image.problem and not pair.image.is_empty]
    findings = about(
        "error",
        "picture-empty",
        _images(empty),
        f"{{n}} of {total:,} images [is an empty file|are empty files] (0 bytes)",
        f"copy or download them again, or take them out: {_without(empty, root)}",
        root=root,
    )
    return findings + about(
        "error",
        "picture-damaged",
        _images(broken),
        f"{{n}} of {total:,} images cannot be decoded{_why(broken)}",
        f"copy or download them again, or take them out: {_without(broken, root)}",
        root=root,
    )


def _unusual(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about images that can be read but may be a mistake."""
    tiny = [pair for pair in pairs if min(pair.image.size) < SMALLEST_PX]
    transparent = [pair for pair in pairs if pair.image.header.mode in ("RGBA", "LA", "PA", "La")]
    findings = about(
        "warning",
        "picture-tiny",
        _images(tiny),
        f"{{n}} [image has|images have] a side below {SMALLEST_PX} pixels",
        f"thumbnails? take them out: {_without(tiny, root)}",
        root=root,
    )
    findings += about(
        "note",
        "picture-alpha",
        _images(transparent),
        "{n} [image has|images have] transparent parts, which are read as white",
        "nothing to do if white is right; otherwise save them on the background that they will be used with",
        root=root,
    )
    return findings + _deep(pairs, root)


def _deep(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about images of more than 8 bits a channel, and the levels that fit them."""
    deep = [(pair, pair.image.tones) for pair in pairs if pair.image.tones is not None]
    if not deep:
        return []
    low, high = min(tones.low for _, tones in deep), max(tones.high for _, tones in deep)
    black, white = fit_levels([tones for _, tones in deep])
    setting = f"data.levels=[{black:.10g},{white:.10g}]"
    is_dark = low >= 0 and 255 < high <= DARK and not any(tones.is_float for _, tones in deep)
    far = ", far below the 65,535 of 16 bits" if is_dark else ""
    findings = about(
        "note",
        "picture-16",
        _images([pair for pair, _ in deep]),
        f"{{n}} [image has|images have] more than 8 bits a channel; values are {low:,.6g} to {high:,.6g}{far}",
        f"nothing to do without a recipe, which takes {setting}; with a recipe set that"
        f"{', or images are nearly black' if is_dark else ''}",
        root=root,
    )
    return findings + about(
        "note",
        "picture-nodata",
        _images([pair for pair, tones in deep if tones.has_nodata]),
        "{n} [image has|images have] pixels without data (as declared in the file, or NaN, -9999 and the like)",
        "nothing to do: they are black, and do not count for data.levels",
        root=root,
    )


def _images(pairs: Sequence[Examined]) -> list[Path | str]:
    return [pair.pair.image for pair in pairs]


def _without(pairs: Sequence[Examined], root: Path) -> str:
    """The command that moves the files of pairs out of the data set."""
    return set_aside([file for pair in pairs for file in pair.files], root)


def _why(pairs: Sequence[Examined]) -> str:
    """The decoder's message about the first file."""
    return f"; first case: {pairs[0].image.problem}" if pairs else ""


def size_findings(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about label maps that differ in size from their images, and about EXIF orientation."""
    both = [pair for pair in pairs if not pair.image.problem and not pair.labels.problem]
    turned, across, scaled = (
        [pair for pair in both if _misfit(pair) == which] for which in ("turned", "across", "size")
    )
    findings = about(
        "error",
        "turned",
        _images(turned),
        "{n} [image is|images are] marked to be turned (EXIF orientation), but the labels were drawn on "
        "[it|them] unturned",
        f"drop the mark: {unturned(_images(turned), root)}",
        root=root,
    )
    findings += about(
        "error",
        "across",
        label_files(across),
        "{n} [label map lies|label maps lie] across the image: height and width are swapped",
        "swap the axes where the files are written: numpy arrays are (height, width)",
        root=root,
    )
    findings += about(
        "error",
        "size",
        label_files(scaled),
        f"{{n}} [label map has|label maps have] another size than the image{_sizes(scaled)}",
        _resize(scaled, root),
        root=root,
    )
    return findings + _marked([pair for pair in both if not _misfit(pair)], root)


def _misfit(pair: Examined) -> Misfit:
    """How the size of a label map differs from its image's; empty if it does not."""
    image_size, label_size = pair.image.size, pair.labels.size
    if image_size == label_size:
        return ""
    if pair.image.header.stored == label_size:
        return "turned"
    return "across" if image_size == label_size[::-1] else "size"


def _marked(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about images and label maps of equal size with an EXIF orientation."""
    doubtful = [pair for pair in pairs if _is_doubtful(pair)]
    marked = [pair for pair in pairs if pair.labels.header.orientation != 1]
    findings = about(
        "warning",
        "orientation",
        _images(doubtful),
        "{n} [image is|images are] marked to be turned or mirrored (EXIF orientation), and the size does not tell "
        "whether the labels were drawn before or after",
        f"compare them with cgrseg data show; if they differ: {unturned(_images(doubtful), root)}",
        root=root,
    )
    return findings + about(
        "warning",
        "label-orientation",
        label_files(marked),
        "{n} [label map is|label maps are] marked to be turned (EXIF orientation), which is never done with numbers",
        f"drop the mark: {unturned(label_files(marked), root)}",
        root=root,
    )


def _is_doubtful(pair: Examined) -> bool:
    """Whether an image is rotated or mirrored in a way that its size does not reveal."""
    header = pair.image.header
    return header.orientation in (2, 3, 4) or (header.orientation > 4 and header.stored[0] == header.stored[1])


def _sizes(pairs: Sequence[Examined]) -> str:
    if not pairs:
        return ""
    label_size, image_size = (f"{size[1]} x {size[0]}" for size in (pairs[0].labels.size, pairs[0].image.size))
    return f"; the first is {label_size} where the image is {image_size}"


def _resize(pairs: Sequence[Examined], root: Path) -> str:
    """The fix: a command that resizes the first label map to its image's size, if the aspects agree."""
    if not pairs:
        return ""
    (height, width), (label_height, label_width) = pairs[0].image.size, pairs[0].labels.size
    if abs(height * label_width - width * label_height) > max(height, width):
        return "the shapes differ, so the labels belong to other images, or one was cropped: compare the two files"
    if not pairs[0].labels.header.format:
        return "the labels were made for images of that size: put those in place, or export the labels again for these"
    command = converted(f"Image.open(f).resize(({width}, {height}), 0)", [pairs[0].pair.labels], root)
    return f"export them at the size of the images, or resize them without interpolation: {command}"

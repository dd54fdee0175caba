"""What can be wrong with the files themselves: images and label maps that do not open, or do not fit each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cgrseg.data.doctor.examination import Examined
from cgrseg.data.doctor.findings import Finding, about, some

Misfit = Literal["", "turned", "across", "size"]
"""How a label map's size differs from its image's."""
SMALLEST_PX = 32
"""An image with a shorter side than this is nothing to the network but one feature."""


def image_findings(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """What is wrong with the images."""
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
        f"copy or download them again, or take them out: {_remove(empty)}",
        root=root,
    )
    return findings + about(
        "error",
        "picture-damaged",
        _images(broken),
        f"{{n}} of {total:,} images cannot be decoded{_why(broken)}",
        f"copy or download them again, or take them out: {_remove(broken)}",
        root=root,
    )


def _unusual(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Images that can be read, but may not be what was meant."""
    tiny = [pair for pair in pairs if min(pair.image.size) < SMALLEST_PX]
    clear = [pair for pair in pairs if pair.image.header.mode in ("RGBA", "LA", "PA", "La")]
    deep = [pair for pair in pairs if pair.image.header.mode.startswith("I;16")]
    findings = about(
        "warning",
        "picture-tiny",
        _images(tiny),
        f"{{n}} [image has|images have] a side below {SMALLEST_PX} pixels",
        f"thumbnails? take them out: {_remove(tiny)}",
        root=root,
    )
    findings += about(
        "note",
        "picture-alpha",
        _images(clear),
        "{n} [image has|images have] transparent parts, which are read as white",
        "nothing to do if white is meant; otherwise save them on the background that they will be used with",
        root=root,
    )
    return findings + about(
        "note",
        "picture-16",
        _images(deep),
        "{n} [image has|images have] 16 bits a channel and [is|are] read with 8",
        "nothing to do, if images are made the same way when the network is used",
        root=root,
    )


def _images(pairs: Sequence[Examined]) -> list[Path | str]:
    return [pair.pair.image for pair in pairs]


def _files(pairs: Sequence[Examined]) -> list[Path | str]:
    return [pair.pair.labels for pair in pairs]


def _remove(pairs: Sequence[Examined]) -> str:
    """The command that takes out pairs."""
    return f"rm {some([file for pair in pairs for file in pair.files])}"


def _why(pairs: Sequence[Examined]) -> str:
    """The decoder's message about the first file."""
    return f"; first case: {pairs[0].image.problem}" if pairs else ""


def size_findings(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Images and label maps of different sizes, and marks that an image is to be turned."""
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
        f"drop the mark: exiftool -Orientation= {some(_images(turned))}",
        root=root,
    )
    findings += about(
        "error",
        "across",
        _files(across),
        "{n} [label map lies|label maps lie] across the image: height and width are swapped",
        "swap the axes where the maps are written: numpy arrays are (height, width)",
        root=root,
    )
    findings += about(
        "error",
        "size",
        _files(scaled),
        f"{{n}} [label map has|label maps have] another size than the image{_sizes(scaled)}",
        _resize(scaled),
        root=root,
    )
    return findings + _marked([pair for pair in both if not _misfit(pair)], root)


def _misfit(pair: Examined) -> Misfit:
    """How the sizes of an image and its label map differ, if they do."""
    ours, theirs = pair.image.size, pair.labels.size
    if ours == theirs:
        return ""
    if pair.image.header.stored == theirs:
        return "turned"
    return "across" if ours == theirs[::-1] else "size"


def _marked(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Images and label maps of equal size that are marked to be turned."""
    doubtful = [pair for pair in pairs if _is_doubtful(pair)]
    marked = [pair for pair in pairs if pair.labels.header.orientation != 1]
    findings = about(
        "warning",
        "orientation",
        _images(doubtful),
        "{n} [image is|images are] marked to be turned or mirrored (EXIF orientation), and the size does not tell "
        "whether the labels were drawn before or after",
        f"compare them with cgrseg data show; if they differ: exiftool -Orientation= {some(_images(doubtful))}",
        root=root,
    )
    return findings + about(
        "warning",
        "label-orientation",
        _files(marked),
        "{n} [label map is|label maps are] marked to be turned (EXIF orientation), which is never done with numbers",
        f"drop the mark: exiftool -Orientation= {some(_files(marked))}",
        root=root,
    )


def _is_doubtful(pair: Examined) -> bool:
    """Whether an image is turned or mirrored in a way that its size does not show."""
    header = pair.image.header
    return header.orientation in (2, 3, 4) or (header.orientation > 4 and header.stored[0] == header.stored[1])


def _sizes(pairs: Sequence[Examined]) -> str:
    if not pairs:
        return ""
    theirs, ours = (f"{size[1]} x {size[0]}" for size in (pairs[0].labels.size, pairs[0].image.size))
    return f"; the first is {theirs} where the image is {ours}"


def _resize(pairs: Sequence[Examined]) -> str:
    """What brings the first label map to its image's size, if it has the same aspect."""
    if not pairs:
        return ""
    (height, width), (theirs_high, theirs_wide) = pairs[0].image.size, pairs[0].labels.size
    if abs(height * theirs_wide - width * theirs_high) > max(height, width):
        return "the shapes differ, so these are not labels of these images, or one was cropped: compare the two files"
    file = pairs[0].pair.labels
    code = f"from PIL import Image; f = '{file}'; Image.open(f).resize(({width}, {height}), 0).save(f)"
    return f'export them at the size of the images, or enlarge them without mixing: python -c "{code}"'

"""Rules about label files: formats and colours, and numbers changed by resizing, JPEG or conversion."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.data.datasets.colours import LISTED
from cgrseg.data.datasets.labelled import UNLABELLED
from cgrseg.data.doctor.commands import converted
from cgrseg.data.doctor.examination import Examined, Fault, LabelFacts
from cgrseg.data.doctor.findings import Finding, about, some

MOST_BETWEEN = 0.08
"""Largest share of in-between values on borders: drawn maps stay below 0.03, interpolated ones exceed 0.14."""
FEWEST_MIXED = 4
"""Smallest number of in-between values that proves interpolation; fewer may be a class drawn as a thin outline."""
PHOTO_COLOURS = 1_000
"""A label file with more colours than this is taken for a photo."""
SAVE = "[Image.open(f).getchannel(0).save(f) for f in sys.argv[1:]]"
FIRST_CHANNEL = f'python -c "import sys; from PIL import Image; {SAVE}"'
EXPORT = "export the labels again as 8-bit gray or palette PNG"


def label_findings(
    pairs: Sequence[Examined], classes: ClassTable, root: Path, masks: Sequence[Examined] = ()
) -> list[Finding]:
    """Findings about the format, colours and numbers of label files; `masks` have a finding about their numbers."""
    known = frozenset(masks)
    return [
        *_unreadable(pairs, root),
        *_coloured(pairs, classes, root),
        *_changed([pair for pair in pairs if pair not in known], root),
        *_palettes(pairs, root),
    ]


def is_interpolated(pair: Examined) -> bool:
    """Whether a label map was resized with interpolation, smoothed or compressed with loss."""
    return pair.labels.between > MOST_BETWEEN and pair.labels.between_values >= FEWEST_MIXED


def stretched_maps(pairs: Sequence[Examined]) -> list[Examined]:
    """The 16-bit files whose 8-bit numbers v were stored as 257 v.

    65535 alone proves nothing: it means no label in 16 bits. Only if no map holds anything but 0 and 65535, these are
    the black and white of masks.
    """
    wide = [pair for pair in pairs if pair.labels.header.mode.startswith("I;16") and _are_multiples(pair)]
    seen = {value for pair in pairs for value in pair.labels.values.tolist()}
    is_certain = any(value not in (0, UNLABELLED) for pair in wide for value in pair.labels.values.tolist())
    return wide if is_certain or seen == {0, UNLABELLED} else []


def _are_multiples(pair: Examined) -> bool:
    values = pair.labels.values
    return bool(values.max(initial=0) > 255 and not (values % 257).any())


def _having(pairs: Sequence[Examined], fault: Fault) -> list[Examined]:
    return [pair for pair in pairs if pair.labels.fault == fault]


def _files(pairs: Sequence[Examined]) -> list[Path | str]:
    return [pair.pair.labels for pair in pairs]


def _unreadable(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about files that cannot be read."""
    empty, damaged, shapes = (_having(pairs, fault) for fault in ("empty", "damaged", "shapes"))
    total, again = f"{{n}} of {len(pairs):,} label files", "copy, download or export them again"
    findings = about(
        "error",
        "label-empty",
        _files(empty),
        f"{total} [is an empty file|are empty files] (0 bytes)",
        f"{again}: {some(_files(empty))}",
        root=root,
    )
    findings += about(
        "error",
        "label-damaged",
        _files(damaged),
        f"{total} [is|are] damaged or cut short",
        f"{again}: {some(_files(damaged))}",
        root=root,
    )
    problem, advice = (text.replace(f"{root}/", "") for text in _first_problem(shapes))
    return findings + about(
        "error",
        "shapes",
        _files(shapes),
        f"{total} cannot be drawn: {problem}",
        advice or "export them again, as LabelMe, COCO or the release writes them",
        root=root,
    )


def _first_problem(pairs: Sequence[Examined]) -> tuple[str, str]:
    return (pairs[0].labels.problem, pairs[0].labels.advice) if pairs else ("", "")


def _coloured(pairs: Sequence[Examined], classes: ClassTable, root: Path) -> list[Finding]:
    """Findings about files that hold colours instead of numbers, or colours that no class has."""
    jpeg, coloured, unknown = (_having(pairs, fault) for fault in ("jpeg", "colours", "unknown colours"))
    findings = about(
        "error",
        "label-jpeg",
        _files(jpeg),
        "{n} [label file is a JPEG|label files are JPEGs] inside, which changes the numbers at borders",
        f"{EXPORT}; converting does not bring the numbers back",
        root=root,
    )
    return [*findings, *_in_colours(coloured, classes, root), *_unknown(unknown, root)]


def _in_colours(pairs: Sequence[Examined], classes: ClassTable, root: Path) -> list[Finding]:
    """Findings about files with several channels where one number per pixel is needed."""
    kinds = ("gray", "alpha", "photo", "plain")
    gray, alpha, photos, plain = ([pair for pair in pairs if _colouring(pair) == kind] for kind in kinds)
    findings = about(
        "error",
        "label-rgb-gray",
        _files(gray),
        "{n} [label file holds its|label files hold their] numbers three times, as RGB",
        f"keep one channel: {FIRST_CHANNEL} {some(_files(gray))}",
        root=root,
    )
    findings += about(
        "error",
        "label-alpha",
        _files(alpha),
        "{n} [label file has|label files have] an alpha channel in addition to the numbers",
        f"drop it: {FIRST_CHANNEL} {some(_files(alpha))}",
        root=root,
    )
    findings += about(
        "error",
        "label-photo",
        _files(photos),
        f"{{n}} [label file is a photo|label files are photos]: the first has {_count(photos)} colours",
        f"are images and labels mixed up? put label maps into {photos[0].pair.labels.parent if photos else ''}",
        root=root,
    )
    findings += about(
        "error",
        "label-colours",
        _files(plain),
        f"{{n}} [label file holds|label files hold] {_count(plain)} colours, not class numbers",
        _palette_line(plain, classes),
        root=root,
    )
    return findings


def _colouring(pair: Examined) -> str:
    """The kind of a file in colours: gray without or with alpha, a photo, or plain areas of colour."""
    if all(len(set(colour)) == 1 for colour in pair.labels.colours):
        return "alpha" if pair.labels.header.mode in ("LA", "PA", "La", "RGBA") else "gray"
    return "photo" if pair.labels.colour_count > PHOTO_COLOURS else "plain"


def _count(pairs: Sequence[Examined]) -> str:
    return f"{max(pair.labels.colour_count for pair in pairs):,}" if pairs else ""


def _palette_line(pairs: Sequence[Examined], classes: ClassTable) -> str:
    """The fix: a meta.json that gives the classes the colours of the files."""
    colours = list(dict.fromkeys(colour for pair in pairs for colour in pair.labels.colours))
    names = list(classes.names)
    palette = [list(colour) for colour in colours[: len(names)]]
    line = json.dumps({"classes": names, "palette": palette, "ignore": [list(c) for c in colours[len(names) :][:8]]})
    return f"in place of classes.txt write meta.json, with the colours in the order of the names: {line}"


def _unknown(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    many = [pair for pair in pairs if pair.labels.colour_count > LISTED]
    few = [pair for pair in pairs if pair not in many]
    sentence, fix = _unknown_colour(few[0].labels) if few else ("", "")
    findings = about(
        "error",
        "colours-mixed",
        _files(many),
        "{n} [label file holds|label files hold] colours mixed from those of the classes, as "
        "smoothing, resizing or JPEG produce them",
        f"{EXPORT}, without smoothing (antialiasing)",
        root=root,
    )
    return findings + about(
        "error",
        "colour-unknown",
        _files(few),
        sentence,
        fix,
        root=root,
    )


def _unknown_colour(facts: LabelFacts) -> tuple[str, str]:
    """The sentence about label files like this one, and the fix."""
    if not facts.colours:
        return f"{{n}} [label file|label files] cannot be read: {facts.problem}", facts.advice or "edit meta.json"
    colour = list(facts.colours[0])
    sentence = f"{{n}} [label file holds|label files hold] colours that no class has, such as {facts.colours[0]}"
    fix = f'if it means no label, add it in meta.json: "ignore": [{colour}]; else add its class, with this colour in '
    return sentence, f'{fix}"palette"'


def _changed(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about label maps whose numbers were changed, or that use more bits than needed."""
    mixed = [pair for pair in pairs if is_interpolated(pair)]
    thin = [pair for pair in pairs if pair.labels.between > MOST_BETWEEN and not is_interpolated(pair)]
    stretched = stretched_maps(pairs)
    known = frozenset(stretched)
    wide = [pair for pair in pairs if pair.labels.header.mode.startswith("I;16") and pair not in known]
    change = "Image.fromarray((np.array(Image.open(f)) // 257).astype('uint8'))"
    findings = about(
        "error",
        "interpolated",
        _files(mixed),
        "{n} [label map holds|label maps hold] in-between numbers on borders: resized with interpolation or smoothed",
        "resize labels with nearest neighbour only (Image.NEAREST, cv2.INTER_NEAREST), starting from the originals",
        root=root,
    )
    findings += about(
        "warning",
        "thin-class",
        _files(thin),
        "{n} [label map has|label maps have] on many borders a value between those of both sides",
        "nothing to do if a class is a thin line around others; otherwise the maps were resized with interpolation: "
        "use nearest neighbour only",
        root=root,
    )
    findings += about(
        "error",
        "stretched",
        _files(stretched),
        "{n} 16-bit [label map holds|label maps hold] each number times 257",
        converted(change, _files(stretched), root),
        root=root,
    )
    return findings + about(
        "note",
        "label-16",
        _files(wide),
        "{n} [label map has|label maps have] 16 bits where 8 are enough",
        "nothing to do; 8-bit maps are smaller and load faster",
        root=root,
    )


def _palettes(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """A finding about palette files that give the same number different colours."""
    colours: dict[int, tuple[int, ...]] = {}
    differing: list[Examined] = []
    for pair in pairs:
        palette = np.frombuffer(pair.labels.header.palette, np.uint8).reshape(-1, 3)
        used = {int(value): tuple(palette[value].tolist()) for value in pair.labels.values if value < len(palette)}
        if any(colours.setdefault(value, colour) != colour for value, colour in used.items()):
            differing.append(pair)
    return about(
        "error",
        "palettes-differ",
        _files(differing),
        "{n} palette [PNG gives|PNGs give] numbers other colours than the first ones do, as programs that choose "
        "a palette for each file write them: their numbers mean nothing",
        'save them as RGB PNG instead, and give each class its colour in meta.json under "palette"',
        root=root,
    )

"""Rules about label files in colours: photos, alpha channels, colours of no class, palettes of their own."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.colours import LISTED
from cgrseg.data.datasets.folder import FileReader
from cgrseg.data.doctor.examination import Examined, LabelFacts, having, label_files
from cgrseg.data.doctor.findings import Finding, about, converted
from cgrseg.types import Colour

PHOTO_COLOURS = 1_000
"""A label file with more colours than this is taken for a photo."""
FURTHER_COLOURS = 8
"""Number of colours that a fix lists beyond the number of classes."""
FIRST_CHANNEL = "Image.open(f).getchannel(0)"
SHAPE_OF_ALPHA = "Image.open(f).convert('RGBA').getchannel('A').point(lambda a: 255 * (a > 127))"
EXPORT = "export the labels again as 8-bit gray or palette PNG"


def reads_palettes(dataset: LabelledImages) -> bool:
    """Whether the classes and their colours come from a labelmap.txt."""
    return isinstance(dataset.read, FileReader) and dataset.read.table.reads_palettes


def colour_findings(pairs: Sequence[Examined], dataset: LabelledImages, root: Path) -> list[Finding]:
    """Findings about files that hold colours instead of numbers, or colours that no class has."""
    jpeg, coloured, unknown = (having(pairs, fault) for fault in ("jpeg", "colours", "unknown colours"))
    findings = about(
        "error",
        "label-jpeg",
        label_files(jpeg),
        "{n} [label file is a JPEG|label files are JPEGs] inside, which changes the numbers at borders",
        f"{EXPORT}; converting does not bring the numbers back",
        root=root,
    )
    return [*findings, *_in_colours(coloured, dataset.classes, root), *_unknown(unknown, dataset, root)]


def _in_colours(pairs: Sequence[Examined], classes: ClassTable, root: Path) -> list[Finding]:
    """Findings about files with several channels where one number per pixel is needed."""
    by_kind: dict[str, list[Examined]] = {kind: [] for kind in ("gray", "alpha", "cutout", "mixed", "photo", "plain")}
    for pair in pairs:
        by_kind[_colouring(pair)].append(pair)
    gray, alpha, cutouts, mixed, photos, plain = by_kind.values()
    findings = about(
        "error",
        "label-rgb-gray",
        label_files(gray),
        "{n} [label file holds its|label files hold their] numbers three times, as RGB",
        f"keep one channel: {converted(FIRST_CHANNEL, label_files(gray), root)}",
        root=root,
    )
    findings += about(
        "error",
        "label-alpha",
        label_files(alpha),
        "{n} [label file has|label files have] an alpha channel in addition to the numbers",
        f"drop it: {converted(FIRST_CHANNEL, label_files(alpha), root)}",
        root=root,
    )
    findings += _transparent(cutouts, mixed, classes, root)
    findings += about(
        "error",
        "label-photo",
        label_files(photos),
        f"{{n}} [label file is a photo|label files are photos]: the first has {_count(photos)} colours",
        f"are images and labels mixed up? put label maps into {photos[0].pair.labels.parent if photos else ''}",
        root=root,
    )
    findings += about(
        "error",
        "label-colours",
        label_files(plain),
        f"{{n}} [label file holds|label files hold] {_count(plain)} colours, not class numbers",
        _palette_line(plain, classes),
        root=root,
    )
    return findings


def _transparent(
    cutouts: Sequence[Examined], mixed: Sequence[Examined], classes: ClassTable, root: Path
) -> list[Finding]:
    """Findings about files whose alpha channel shows something."""
    names = list(classes.names) if len(classes) == 2 else ["background", classes.names[-1]]
    meta = json.dumps({"classes": names, "values": [0, 255], "ignore": []})
    with_meta = f"; they have the values 0 and 255, so in place of classes.txt write meta.json: {meta}"
    command = converted(SHAPE_OF_ALPHA, label_files(cutouts), root)
    findings = about(
        "error",
        "label-cutout",
        label_files(cutouts),
        "{n} [label file is a cut-out|label files are cut-outs]: the shape is in the alpha channel",
        f"write it as a mask: {command}{with_meta if len(classes) < 3 else ''}",
        root=root,
    )
    return findings + about(
        "error",
        "label-alpha",
        label_files(mixed),
        "{n} [label file is|label files are] transparent in parts, and [holds|hold] numbers, too",
        f"{EXPORT}: nobody but you knows what the transparent parts mean",
        root=root,
    )


def _colouring(pair: Examined) -> str:
    """The kind of a file in colours: gray without or with alpha, a cut-out, a photo, or plain areas of colour."""
    is_gray = all(len(set(colour)) == 1 for colour in pair.labels.colours)
    if pair.labels.alpha == "shape":
        return "cutout"
    if pair.labels.alpha == "parts" and is_gray:
        return "mixed"
    if is_gray:
        return "alpha" if pair.labels.header.mode in ("LA", "PA", "La", "RGBA") else "gray"
    return "photo" if pair.labels.colour_count > PHOTO_COLOURS else "plain"


def _count(pairs: Sequence[Examined]) -> str:
    return f"{max(pair.labels.colour_count for pair in pairs):,}" if pairs else ""


def _palette_line(pairs: Sequence[Examined], classes: ClassTable) -> str:
    """The fix: a meta.json with the colours of the files; which class each one means, only its user can say."""
    counts: Counter[Colour] = Counter()
    for pair in pairs:
        counts.update(pair.labels.colours)
    colours = [colour for colour, _ in counts.most_common(len(classes) + FURTHER_COLOURS)]
    shares = ", ".join(f"{list(colour)} {counts[colour] / counts.total():.1%}" for colour in colours)
    names = ", ".join(f"<name of {list(colour)}>" for colour in colours)
    line = f'{{"classes": [{names}], "palette": {json.dumps(colours)}, "ignore": []}}'
    return (
        f"which of {', '.join(classes.names)} is each colour? their shares are {shares}; in place of classes.txt write "
        f"meta.json with the names filled in, and with the colours that mean no label under `ignore`: {line}"
    )


def _unknown(pairs: Sequence[Examined], dataset: LabelledImages, root: Path) -> list[Finding]:
    many = [pair for pair in pairs if pair.labels.colour_count > LISTED]
    few = [pair for pair in pairs if pair not in many]
    sentence, fix = _unknown_colour(few[0].labels, is_labelmap=reads_palettes(dataset)) if few else ("", "")
    findings = about(
        "error",
        "colours-mixed",
        label_files(many),
        "{n} [label file holds|label files hold] colours mixed from those of the classes, as "
        "smoothing, resizing or JPEG produce them",
        f"{EXPORT}, without smoothing (antialiasing)",
        root=root,
    )
    return findings + about(
        "error",
        "colour-unknown",
        label_files(few),
        sentence,
        fix,
        root=root,
    )


def _unknown_colour(facts: LabelFacts, *, is_labelmap: bool) -> tuple[str, str]:
    """The sentence about label files like this one, and the fix."""
    if not facts.colours:
        return f"{{n}} [label file|label files] cannot be read: {facts.problem}", facts.advice or "edit meta.json"
    colour = next(iter(facts.colours))
    sentence = f"{{n}} [label file holds|label files hold] colours that no class has, such as {colour}"
    if is_labelmap:
        return sentence, f"add a line for its class to labelmap.txt: name:{','.join(map(str, colour))}::"
    fix = f'if it means no label, add it in meta.json: "ignore": [{list(colour)}]; else add its class, with this colour'
    return sentence, f'{fix} in "palette"'


def palette_findings(pairs: Sequence[Examined], root: Path) -> list[Finding]:
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
        label_files(differing),
        "{n} palette [PNG gives|PNGs give] numbers other colours than the first ones do, as programs that choose "
        "a palette for each file write them: their numbers mean nothing",
        'save them as RGB PNG instead, and give each class its colour in meta.json under "palette"',
        root=root,
    )

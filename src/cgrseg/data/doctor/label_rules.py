"""Rules about label files: formats and colours, and numbers changed by resizing, JPEG or conversion."""

from collections.abc import Sequence
from pathlib import Path

from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.labelled import UNLABELLED
from cgrseg.data.doctor.colour_rules import colour_findings, palette_findings, reads_palettes
from cgrseg.data.doctor.examination import Examined, having, label_files
from cgrseg.data.doctor.findings import Finding, about, converted, some

MOST_BETWEEN = 0.08
"""Largest share of in-between values on borders: drawn maps stay below 0.03, interpolated ones exceed 0.14."""
FEWEST_MIXED = 4
"""Smallest number of in-between values that proves interpolation; fewer may be a class drawn as a thin outline."""


def label_findings(
    pairs: Sequence[Examined], dataset: LabelledImages, root: Path, masks: Sequence[Examined] = ()
) -> list[Finding]:
    """Findings about the format, colours and numbers of label files; `masks` have a finding about their numbers."""
    known = frozenset(masks)
    return [
        *_unreadable(pairs, root),
        *colour_findings(pairs, dataset, root),
        *_changed([pair for pair in pairs if pair.labels.header.format and pair not in known], root),
        *([] if reads_palettes(dataset) else palette_findings(pairs, root)),
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


def _unreadable(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about files that cannot be read."""
    empty, damaged, shapes = (having(pairs, fault) for fault in ("empty", "damaged", "shapes"))
    total, again = f"{{n}} of {len(pairs):,} label files", "copy, download or export them again"
    findings = about(
        "error",
        "label-empty",
        label_files(empty),
        f"{total} [is an empty file|are empty files] (0 bytes)",
        f"{again}: {some(label_files(empty))}",
        root=root,
    )
    findings += about(
        "error",
        "label-damaged",
        label_files(damaged),
        f"{total} [is|are] damaged or cut short",
        f"{again}: {some(label_files(damaged))}",
        root=root,
    )
    problem, advice = (text.replace(f"{root}/", "") for text in _first_problem(shapes))
    return findings + about(
        "error",
        "shapes",
        label_files(shapes),
        f"the labels of {{n}} of {len(pairs):,} images cannot be drawn: {problem}",
        advice or "export them again, as LabelMe, COCO or the release writes them",
        root=root,
    )


def _first_problem(pairs: Sequence[Examined]) -> tuple[str, str]:
    return (pairs[0].labels.problem, pairs[0].labels.advice) if pairs else ("", "")


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
        label_files(mixed),
        "{n} [label map holds|label maps hold] in-between numbers on borders: resized with interpolation or smoothed",
        "resize labels with nearest neighbour only (Image.NEAREST, cv2.INTER_NEAREST), starting from the originals",
        root=root,
    )
    findings += about(
        "warning",
        "thin-class",
        label_files(thin),
        "{n} [label map has|label maps have] on many borders a value between those of both sides",
        "nothing to do if a class is a thin line around others; otherwise the maps were resized with interpolation: "
        "use nearest neighbour only",
        root=root,
    )
    findings += about(
        "error",
        "stretched",
        label_files(stretched),
        "{n} 16-bit [label map holds|label maps hold] each number times 257",
        converted(change, label_files(stretched), root),
        root=root,
    )
    return findings + about(
        "note",
        "label-16",
        label_files(wide),
        "{n} [label map has|label maps have] 16 bits where 8 are enough",
        "nothing to do; 8-bit maps are smaller and load faster",
        root=root,
    )

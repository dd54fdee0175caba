"""Rules about duplicates: equal or similar images, in two splits or in one.

equal images ----------------------------- leak, contradiction, same-picture
near-duplicates in two splits ------------ near-leak
neighbours by name, similar, in two splits  frames
equal label maps ------------------------- same-labels
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cgrseg.data.doctor.examination import Examined, label_files
from cgrseg.data.doctor.findings import Finding, about, set_aside, short
from cgrseg.data.similarity import Signs, near_duplicates, series, signs
from cgrseg.recipes import as_override


def leaks(pairs: Sequence[Examined], root: Path, *, is_published: bool) -> list[Finding]:
    """Findings about images and label maps that occur more than once."""
    by_digest: dict[bytes, list[Examined]] = defaultdict(list)
    for pair in pairs:
        if pair.image.digest:
            by_digest[pair.image.digest].append(pair)
    groups = [group for group in by_digest.values() if len(group) > 1]
    across = [group for group in groups if len({pair.split for pair in group}) > 1]
    within = [group for group in groups if len({pair.split for pair in group}) == 1]
    contrary = [group for group in within if len({pair.labels.digest for pair in group}) > 1]
    alike = [group for group in within if len({pair.labels.digest for pair in group}) == 1]
    remove = "keep one of them"
    findings = about(
        "warning" if is_published else "error",
        "leak",
        _couples(across, root),
        "{n} [image is|images are] in two splits, so scores say nothing about new images",
        _removal("take them out of one", across, root),
        root=root,
    )
    findings += about(
        "warning",
        "contradiction",
        _couples(contrary, root),
        "{n} [image occurs|images occur] twice with different labels",
        _removal(remove, contrary, root),
        root=root,
    )
    findings += about(
        "warning",
        "same-picture",
        _couples(alike, root),
        "{n} [image occurs|images occur] twice in one split and [counts|count] double",
        _removal(remove, alike, root),
        root=root,
    )
    return findings + _near(pairs, root) + _frames(pairs, root) + _same_labels(pairs, root)


def _couples(groups: list[list[Examined]], root: Path) -> list[Path | str]:
    return [" = ".join(short(pair.pair.image, root) for pair in group[:2]) for group in groups]


def _removal(fix: str, groups: list[list[Examined]], root: Path) -> str:
    if not groups:
        return fix
    spare = [max(group, key=lambda pair: (pair.split == "train", str(pair.pair.image))) for group in groups]
    return f"{fix}: {set_aside([file for pair in spare for file in pair.files], root)}"


def _near(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """A finding about images outside train that are near-duplicates of one in train but not equal to it."""
    learnt = [pair for pair in pairs if pair.split == "train" and pair.image.bits is not None]
    scored = [pair for pair in pairs if pair.split != "train" and pair.image.bits is not None]
    matches = [(scored[index], learnt[match]) for index, match in near_duplicates(_signs(scored), _signs(learnt))]
    matches = [(one, other) for one, other in matches if one.image.digest != other.image.digest]
    prefix = matches[0][0].pair.image.name.split("_")[0] if matches else ""
    hold_out = as_override("data.hold_out", prefix)
    return about(
        "warning",
        "near-leak",
        [f"{short(one.pair.image, root)} ~ {short(other.pair.image, root)}" for one, other in matches],
        "{n} [image outside train looks|images outside train look] like one in train (saved again, resized, "
        "or frames of one scene), "
        "so scores flatter",
        f"keep whole scenes together: move them into train, or hold out all of one, as in {hold_out}",
        root=root,
    )


def _frames(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """A finding about images that look like the next one by name, which is in another split: frames of one video."""
    names = [pair.pair.name for pair in pairs]
    indices = series(names, [pair.image.bits for pair in pairs], [pair.split for pair in pairs])
    return about(
        "warning",
        "frames",
        [pairs[index].pair.image for index in indices],
        "{n} [image looks|images look] like the next by name, which is in another split (frames of one video dealt "
        "out), so scores flatter",
        "keep whole videos, or at least long parts of them, in one split",
        root=root,
    )


def _signs(pairs: Sequence[Examined]) -> Signs:
    return signs([pair.image.bits for pair in pairs if pair.image.bits is not None])


def _same_labels(pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """A finding about different images with equal label maps of two classes or more."""
    groups: dict[bytes, list[Examined]] = defaultdict(list)
    for pair in pairs:
        if pair.image.digest and len(pair.labels.values) > 1:
            groups[pair.labels.digest].append(pair)
    copied = [group for group in groups.values() if len({pair.image.digest for pair in group}) > 1]
    same = [pair for group in copied for pair in group]
    fix = "look at them: cgrseg data show; perhaps a script wrote one map for all images"
    return about(
        "warning",
        "same-labels",
        label_files(same),
        "the labels of {n} different images are equal pixel for pixel",
        fix,
        root=root,
    )

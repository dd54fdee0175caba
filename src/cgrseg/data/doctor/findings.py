"""What a check of a data set gives: findings, each with the line that mends it, and how often each class occurs."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgrseg.config import Kind
from cgrseg.types import Colour

Severity = Literal["error", "warning", "note"]
"""Training cannot work; it works, but likely not as meant; worth knowing."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 3
"""Files that a finding names to people."""
NAMED = 6
"""Files that a command names."""
FORMS = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
"""The forms of a word for one and for many: [file|files]."""


@dataclass(frozen=True)
class Finding:
    """One thing that was noticed, in how many files, and what to do about it."""

    severity: Severity
    code: str
    """A short name that stays the same, such as `shifted`."""
    sentence: str
    count: int
    """Number of files, pairs or classes that it is about."""
    files: tuple[str, ...]
    """Their names, as seen from the folder of the data set; for classes, those of the classes."""
    fix: str
    """A command, a line for a file, or what to do by hand."""

    @property
    def examples(self) -> tuple[str, ...]:
        """The first few names."""
        return self.files[:EXAMPLES]

    def __str__(self) -> str:
        named = f" ({', '.join(self.examples)})" if self.examples else ""
        return f"{self.sentence}{named}; {self.fix}"


@dataclass(frozen=True)
class ClassUse:
    """How often a class occurs."""

    name: str
    colour: Colour
    pixels: dict[str, int]
    """In each split."""
    images: dict[str, int]
    """In each split, the images with at least one pixel of it."""


@dataclass(frozen=True)
class Report:
    """Everything that a check found."""

    kind: Kind
    path: Path
    images: dict[str, int]
    """How many were looked at in each split."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    classes: tuple[ClassUse, ...]

    def count(self, severity: Severity) -> int:
        """The number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def as_tree(self) -> dict:
        """The report as plain values, for JSON."""
        return {
            "data": self.kind,
            "path": str(self.path),
            "pictures": self.images,
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [vars(finding) | {"files": list(finding.files)} for finding in self.findings],
            "classes": [vars(use) | {"colour": list(use.colour)} for use in self.classes],
        }


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings with errors first, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def about(
    severity: Severity, code: str, files: Sequence[Path | str], sentence: str, fix: str, *, root: Path
) -> list[Finding]:
    """A finding about files, or none if there are no files.

    Args:
        severity: how bad it is.
        code: its short name.
        files: what it is about.
        sentence: {n} in it is their number, and of [file|files] the form is taken that fits the number.
        fix: what to do.
        root: the folder of the data set.
    """
    if not files:
        return []
    form = FORMS.sub(lambda forms: forms[1 if len(files) == 1 else 2], sentence)
    names = tuple(short(file, root) for file in files)
    return [Finding(severity, code, form.replace("{n}", f"{len(files):,}"), len(files), names, fix)]


def short(file: Path | str, root: Path) -> str:
    """A file as seen from the folder of the data set."""
    return str(file.relative_to(root)) if isinstance(file, Path) and file.is_relative_to(root) else str(file)


def some(files: Sequence[Path | str]) -> str:
    """The first files, as a command takes them."""
    return " ".join(shlex.quote(str(file)) for file in files[:NAMED]) + (" ..." if len(files) > NAMED else "")

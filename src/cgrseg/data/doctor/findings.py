"""The result of a check: findings, each with its fix, and how often each class occurs."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgrseg.config import Kind
from cgrseg.types import Colour

FIXED = "fixed"
"""The folder below a data set for mended copies, with the paths that the originals have."""
ASIDE = "aside"
"""The folder below a data set for files that are taken out."""
CODE = (
    "import sys, pathlib; import numpy as np; from PIL import Image; "
    "root, *files = map(pathlib.Path, sys.argv[1:]); "
    "new = {f: (root / 'fixed' / f.relative_to(root)).with_suffix('.png') for f in files if f.is_file()}; "
    "[n.parent.mkdir(parents=True, exist_ok=True) for n in new.values()]; "
    "[CHANGE.save(n) for f, n in new.items() if not n.exists()]"
)


def converted(change: str, files: Sequence[Path | str], root: Path, *, whole_folders: bool = False) -> str:
    """The command that writes changed copies of label files into a folder of their own.

    Args:
        change: a Python expression, the changed image of the path `f`, without double quotes.
        files: the label files.
        root: the folder of the data set.
        whole_folders: name the folders instead of the files, since their other files may be changed, too.
    """
    patterns = dict.fromkeys((Path(file).parent, Path(file).suffix) for file in files)
    listed = " ".join(f"{shlex.quote(str(folder))}/*{suffix}" for folder, suffix in patterns)
    arguments = f"{shlex.quote(str(root))} {listed if whole_folders else some(files)}"
    command = f'python -c "{CODE.replace("CHANGE", change)}" {arguments}'
    return f"{command}   # copies in {root / FIXED}: look at them, then put them in place of the originals"


def unturned(files: Sequence[Path | str], root: Path) -> str:
    """The command that writes copies of images without EXIF orientation; exiftool overwrites no file with -o."""
    shown = [Path(file) for file in files[:NAMED]]
    commands = []
    for folder in dict.fromkeys(file.parent for file in shown):
        target = shlex.quote(f"{root / FIXED / _below(folder, root)}/")
        commands.append(f"exiftool -Orientation= -o {target} {some([f for f in shown if f.parent == folder])}")
    more = f", and {len(files) - NAMED:,} more" if len(files) > NAMED else ""
    return f"{'; '.join(commands)}   # copies, to be put in place of the originals{more}"


def set_aside(files: Sequence[Path | str], root: Path) -> str:
    """The command that moves files out of the data set, each into a folder named like its own."""
    shown = [Path(file) for file in files[:NAMED]]
    folders = dict.fromkeys(file.parent for file in shown)
    commands = []
    for folder in folders:
        target = shlex.quote(str(root / ASIDE / _below(folder, root)))
        moved = some([file for file in shown if file.parent == folder])
        commands.append(f"mkdir -p {target} && mv -n {moved} {target}")
    more = f"   # and {len(files) - NAMED:,} more" if len(files) > NAMED else ""
    return "; ".join(commands) + more


def _below(folder: Path, root: Path) -> Path:
    """A folder's path below the data set."""
    return folder.relative_to(root) if folder.is_relative_to(root) else Path(folder.name)


Severity = Literal["error", "warning", "note"]
"""Errors prevent training, warnings are likely mistakes, notes are for information."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 3
"""Number of files that a finding shows as examples."""
NAMED = 6
"""Largest number of files in a suggested command."""
FORMS = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")
"""The singular and the plural of a word: [file|files]."""


@dataclass(frozen=True)
class Finding:
    """A problem or observation: what it is, the files that it concerns, and its fix."""

    severity: Severity
    code: str
    """A short, stable identifier, such as `shifted`."""
    sentence: str
    count: int
    """The number of files, pairs or classes concerned."""
    files: tuple[str, ...]
    """Their paths relative to the folder of the data set, or the names of the classes."""
    fix: str
    """A command, a line for a file, or a description of what to do."""

    @property
    def examples(self) -> tuple[str, ...]:
        """The first few of `files`."""
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
    """The number of its pixels, by split."""
    images: dict[str, int]
    """The number of images with at least one pixel of it, by split."""

    def as_tree(self) -> dict:
        """The counts as plain values, for JSON."""
        return {"name": self.name, "colour": list(self.colour), "pixels": self.pixels, "pictures": self.images}


@dataclass(frozen=True)
class Report:
    """The result of checking a data set."""

    kind: Kind
    path: Path
    images: dict[str, int]
    """The number of images checked, by split."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""
    classes: tuple[ClassUse, ...]
    layout: str = ""
    """What a folder was read as, such as the export of a program."""

    def count(self, severity: Severity) -> int:
        """The number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def as_tree(self) -> dict:
        """The report as plain values, for JSON."""
        return {
            "data": self.kind,
            "path": str(self.path),
            "layout": self.layout,
            "pictures": self.images,
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [vars(finding) | {"files": list(finding.files)} for finding in self.findings],
            "classes": [use.as_tree() for use in self.classes],
        }


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort findings: errors, then warnings, then notes, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def about(
    severity: Severity, code: str, files: Sequence[Path | str], sentence: str, fix: str, *, root: Path
) -> list[Finding]:
    """A list of one finding about files; empty if there are no files.

    Args:
        severity: error, warning or note.
        code: the stable identifier.
        files: the files, or names of classes, that it concerns.
        sentence: the description; {n} becomes their number, [file|files] the form that fits the number.
        fix: how to fix it.
        root: the folder of the data set.
    """
    if not files:
        return []
    form = FORMS.sub(lambda forms: forms[1 if len(files) == 1 else 2], sentence)
    names = tuple(short(file, root) for file in files)
    return [Finding(severity, code, form.replace("{n}", f"{len(files):,}"), len(files), names, fix)]


def short(file: Path | str, root: Path) -> str:
    """The path of a file relative to the folder of the data set, if it is below it."""
    return str(file.relative_to(root)) if isinstance(file, Path) and file.is_relative_to(root) else str(file)


def some(files: Sequence[Path | str]) -> str:
    """The first few files, quoted for a shell command."""
    return " ".join(shlex.quote(str(file)) for file in files[:NAMED]) + (" ..." if len(files) > NAMED else "")

"""Shell commands in fixes: they write new files or move files aside, and never overwrite or delete one."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from cgrseg.data.doctor.findings import NAMED, some

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

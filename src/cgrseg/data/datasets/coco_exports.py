"""Where programs put the JSON in COCO's format, and the images that it lists.

    annotations/<split>.json               images/<split>/ or images/       a folder of one's own
    annotations/instances_<split>.json     images/<split>/ or images/       CVAT, and COCO itself
    <split>/_annotations.coco.json         <split>/                         Roboflow
    result.json                            images/                          Label Studio; no splits

The names of images may have folders and backslashes, of which as many count as exist below the folder of images.
"""

from collections import defaultdict
from pathlib import Path, PurePosixPath

from cgrseg.data.datasets.coco import read_coco, read_paths, read_tree
from cgrseg.data.datasets.labelled import Layout, SplitFiles, lookup_of
from cgrseg.data.datasets.layouts import folded, paired
from cgrseg.data.datasets.table import Table
from cgrseg.data.datasets.trees import SPLIT_NAMES, files_below, split_names
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError

ROBOFLOW = "_annotations.coco.json"
WHOLE = ("result.json", ROBOFLOW, "instances_default.json", "annotations.json", "annotations.coco.json", "coco.json")
"""What the JSON of a data set without splits may be called."""
Found = tuple[Path, Path]
"""A JSON and the folder of its images."""


def find_json(path: Path, split: str) -> Found | None:
    """The JSON of a split and the folder of its images; None if there is none."""
    for name in split_names(split):
        roboflow = path / name / ROBOFLOW
        if roboflow.is_file():
            return roboflow, roboflow.parent
        for file in (path / "annotations" / f"{name}.json", *_instances(path / "annotations", name)):
            if file.is_file() and not _is_labelme(file, path, name):
                return file, _images_of(path, name, file.stem.removeprefix("instances_"))
    whole = next((path / name for name in WHOLE if (path / name).is_file()), None)
    if split != "train" or whole is None or not _is_coco(whole):
        return None
    return whole, path / "images" if (path / "images").is_dir() else path


def _instances(folder: Path, name: str) -> list[Path]:
    """The files `instances_<name>.json`, also with a year, as in `instances_train2017.json`."""
    files = [folder / f"instances_{name}.json", *sorted(folder.glob(f"instances_{name}[0-9][0-9][0-9][0-9].json"))]
    return [file for file in files if file.is_file()]


def _images_of(path: Path, *names: str) -> Path:
    folders = [folder for name in names for folder in (path / "images" / name, path / name)] + [path / "images"]
    return next((folder for folder in folders if folder.is_dir()), path)


def _is_labelme(file: Path, path: Path, name: str) -> bool:
    """Whether a file is not for all images but for the one of its name."""
    has_image = any(image.suffix.lower() in SUFFIXES for image in (path / "images").glob(f"{name}.*"))
    return has_image and not _is_coco(file)


def _is_coco(file: Path) -> bool:
    try:
        read_tree(file)
    except DatasetError:
        return False
    return True


def program_of(file: Path) -> str:
    """The program that writes files of this name, for people."""
    if file.name == ROBOFLOW:
        return "Roboflow's COCO export"
    if file.name == "result.json":
        return "Label Studio's COCO export"
    return "an export in COCO's format, as CVAT writes it" if file.name.startswith("instances_") else "COCO's format"


def _siblings(path: Path, split: str) -> list[Found]:
    """The JSONs of the other splits and the folders of their images."""
    return [other for name in SPLIT_NAMES if name != split and (other := find_json(path, name))]


def files_read(path: Path, split: str, found: Found) -> SplitFiles:
    """The files of a split: all images of its folder, or those in its JSON if other splits have the same folder.

    Raises:
        DatasetError: the JSON is malformed.
    """
    file, folder = found
    is_listed = any(other == folder for _, other in _siblings(path, split))
    groups = files_below(folder, SUFFIXES).values()
    images = _resolved(folder, read_paths(file), file).values() if is_listed else (f for group in groups for f in group)
    return SplitFiles(folder, file, frozenset((file, *images)), is_listed=is_listed)


def find_coco(path: Path, split: str, found: Found, table: Table | None) -> Layout:
    """A split whose labels are in one JSON.

    Raises:
        DatasetError: an image is missing or is not listed, or the JSON is malformed.
    """
    file, folder = found
    siblings = _siblings(path, split)
    coco = read_coco(file, table, [other for other, _ in siblings if other != file])
    is_shared = any(other == folder for _, other in siblings)
    images = _resolved(folder, coco.paths, file)
    labels = dict.fromkeys(coco.paths, file)
    if not is_shared:
        taken = set(images.values())
        below = files_below(folder, SUFFIXES)
        images |= {name: group[0] for name, group in below.items() if not taken & set(group)}
    advice = f"export the labels again with all images; {file.name} expects them in {folder}"
    pairs = paired(sorted({*images, *labels}), images, labels, f"split {split!r} of {path}", advice)
    return Layout(coco.table.classes, lookup_of(coco.table.raw, coco.table.ignored), pairs, coco.read, coco.notes)


def _resolved(folder: Path, paths: dict[str, PurePosixPath], file: Path) -> dict[str, Path]:
    """The file of each image that is there, by name."""
    by_path: dict[str, list[Path]] = defaultdict(list)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for name, group in files_below(folder, SUFFIXES).items():
        by_path[folded(name)] += group
        by_stem[folded(PurePosixPath(name).name)] += group
    images: dict[str, Path] = {}
    names: dict[Path, str] = {}
    for name, path in paths.items():
        tails = ["/".join(path.parts[start:]) for start in range(len(path.parts))]
        keys = [folded(tail.removesuffix(path.suffix)) for tail in tails]
        group = next((by_path[key] for key in keys if key in by_path), by_stem.get(keys[-1], []))
        exact = [image for image in group if image.name == path.name] or group
        if len(exact) > 1:
            raise DatasetError(
                f"{folder} holds both {exact[0].relative_to(folder)} and {exact[1].relative_to(folder)} for the name "
                f"{path} in {file.name}",
                advice="keep one of them",
            )
        if exact:
            images[name] = exact[0]
            if exact[0] in names:
                raise DatasetError(
                    f"{file} lists two images, {paths[names[exact[0]]]} and {path}, of one file {exact[0]}",
                    advice=f"keep their folders below {folder}, or take one of them out of the file",
                )
            names[exact[0]] = name
    return images

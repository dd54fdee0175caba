"""Masks that Label Studio exports of its brush: which image, class and annotation each of them is of.

    task-<task>-annotation-<annotation>-by-<user>-<tag>-<class>-<number>.png
    images/x.jpg                   the image of a task is named by the JSON export of the project, whole or short:
    *.json                         [{"id": 1, "data": {"image": ".../0a1b2c3d-x.jpg"}}, ...]

Without the JSON, images may be called by the numbers of their tasks.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cgrseg.data.datasets.labelled import Note
from cgrseg.data.datasets.layouts import folded
from cgrseg.data.datasets.trees import Files, Masks, files_below, folders_below
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError
from cgrseg.files import read_text

BRUSH = re.compile(r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-[^-]*-[^-]+-(?P<name>.+)-\d+")
"""The names of Label Studio's files: the label comes after the name of its tag, and may have hyphens."""
PREFIX = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the names of uploaded images."""


def is_brush_export(path: Path) -> bool:
    """Whether a folder holds masks of Label Studio's brush."""
    return bool(_brush_files(path))


def _brush_files(path: Path) -> dict[Path, re.Match[str]]:
    folders = (path, *folders_below(path))
    files = [file for folder in folders for file in sorted(folder.glob("task-*-annotation-*.png"))]
    return {file: match for file in files if (match := BRUSH.fullmatch(file.stem))}


def brush_files(path: Path) -> tuple[Path, Files, dict[Path, re.Match[str]]]:
    """The folder of images, the images, and all masks with the parts of their names."""
    folder = path / "images" if (path / "images").is_dir() else path
    brushed = _brush_files(path)
    others = {
        name: [file for file in group if file not in brushed] for name, group in files_below(folder, SUFFIXES).items()
    }
    return folder, {name: group for name, group in others.items() if group}, brushed


def find_brushed(path: Path) -> tuple[Files, Masks, list[Note]]:
    """The images and masks of a brush export of Label Studio, and what is to be said about them.

    Raises:
        DatasetError: it is not known which image a task has.
    """
    _, images, brushed = brush_files(path)
    by_task: dict[str, dict[str, dict[str, list[Path]]]] = defaultdict(lambda: defaultdict(dict))
    for file, match in brushed.items():
        by_task[match["task"]][match["annotation"]].setdefault(match["name"], []).append(file)
    image_of = _images_of_tasks(path, images, list(by_task))
    masks, notes = Masks(), list[Note]()
    for task, by_annotation in by_task.items():
        latest = max(by_annotation, key=int)
        masks[image_of[task]] = by_annotation[latest]
        if len(by_annotation) > 1:
            sentence = f"task {task} has the annotations {', '.join(by_annotation)}, of which only {latest} is read"
            fix = "delete the others in Label Studio, or take their masks out, if another one is right"
            notes.append(Note("annotations", sentence, fix, (image_of[task],), is_warning=True))
    return images, masks, notes


def _images_of_tasks(path: Path, images: Files, tasks: Sequence[str]) -> dict[str, str]:
    """The name of the image of each task: by Label Studio's JSON export, else by its number."""
    listed = _listed_tasks(path)
    known = {folded(PurePosixPath(name).name): name for name in images}
    found: dict[str, str] = {}
    for task in tasks:
        stem = folded(PurePosixPath(listed.get(task, "").replace("\\", "/").rpartition("=")[2]).stem)
        names = (stem, PREFIX.sub("", stem, count=1)) if task in listed else (task, f"task-{task}")
        image = next((known[name] for name in names if name in known), None)
        if image is None and task in listed:
            image = next((name for key, name in known.items() if PREFIX.sub("", key, count=1) == stem), None)
        if image is None:
            what = f"is the image {listed[task]}, which is not there" if task in listed else "is not tied to an image"
            raise DatasetError(
                f"{path}: task {task} of Label Studio {what}: its masks are named by task",
                advice=f"put the images into {path / 'images'} and the JSON export of the project into {path}; or call "
                "the image of each task by its number, such as 1.jpg",
            )
        found[task] = image
    return found


def _listed_tasks(path: Path) -> dict[str, str]:
    """The image of each task by Label Studio's JSON export, whole or short; empty without one."""
    images: dict[str, str] = {}
    for file in sorted(path.glob("*.json")):
        try:
            tree = json.loads(read_text(file))
        except (DatasetError, ValueError):
            continue
        for task in tree if isinstance(tree, list) else []:
            data = task.get("data", task) if isinstance(task, dict) else None
            values = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
            image = next((value for value in values if PurePosixPath(value).suffix.lower() in SUFFIXES), None)
            if isinstance(task, dict) and image and "id" in task:
                images[str(task["id"])] = image
    return images

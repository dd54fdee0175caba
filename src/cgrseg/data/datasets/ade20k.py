"""ADE20K as the scene parsing challenge of 2016 gives it out: 150 classes.

    ADEChallengeData2016/images/{training,validation}/<stem>.jpg
    ADEChallengeData2016/annotations/{training,validation}/<stem>.png  0 = unlabelled, 1..150

This is not the full ADE20K of 2016 or 2021, whose `_seg.png` hold thousands of classes as colours.
"""

from pathlib import Path

from cgrseg.data.datasets.labelled import Layout, files_by_stem, folder_of, paired, published_layout, root_of

FOLDERS = {"train": "training", "val": "validation"}
LAYOUT = "ADEChallengeData2016 holds images/ and annotations/, each with training/ and validation/"


def find(path: Path, split: str) -> Layout:
    """A split of ADE20K; `path` is the folder `ADEChallengeData2016` or its parent."""
    root, folder = root_of(path, "ADEChallengeData2016"), folder_of(FOLDERS, split, "ade20k")
    images = files_by_stem(root / "images" / folder, (".jpg",), LAYOUT)
    labels = files_by_stem(root / "annotations" / folder, (".png",), LAYOUT)
    return published_layout("ade20k", paired(sorted(images | labels), images, labels, f"split {split!r} of {root}"))

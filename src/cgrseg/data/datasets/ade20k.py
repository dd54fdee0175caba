"""ADE20K as released for the scene parsing challenge of 2016: 150 classes.

    ADEChallengeData2016/images/{training,validation}/<stem>.jpg
    ADEChallengeData2016/annotations/{training,validation}/<stem>.png  0 = unlabelled, 1..150

The full ADE20K of 2016 or 2021, whose `_seg.png` files encode thousands of classes as colours, is not supported.
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

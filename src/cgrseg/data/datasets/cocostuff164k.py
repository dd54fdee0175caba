"""COCO-Stuff 164k: 171 classes on the images of COCO 2017.

    images/{train2017,val2017}/<stem>.jpg
    annotations/{train2017,val2017}/<stem>.png  0..181 with 11 gaps, 255 = unlabelled (stuffthingmaps_trainval2017.zip)

`<stem>_labelTrainIds.png`, which other projects' converters write to the same folders, are ignored.
"""

from pathlib import Path

from cgrseg.data.datasets.labelled import Layout, files_by_stem, folder_of, paired, published_layout

FOLDERS = {"train": "train2017", "val": "val2017"}
LAYOUT = "COCO-Stuff 164k holds images/ and annotations/, each with train2017/ and val2017/"


def find(path: Path, split: str) -> Layout:
    """A split of COCO-Stuff 164k; `path` holds `images` and `annotations`."""
    folder = folder_of(FOLDERS, split, "cocostuff164k")
    images = files_by_stem(path / "images" / folder, (".jpg",), LAYOUT)
    maps = files_by_stem(path / "annotations" / folder, (".png",), LAYOUT)
    labels = {stem: file for stem, file in maps.items() if not stem.endswith("_labelTrainIds")}
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return published_layout("cocostuff164k", pairs)

"""CamVid as the SegNet tutorial lays it out: 11 classes, 480 x 360.

    CamVid/{train,val,test}.txt              two paths a line, of the authors' machine: only the stems count
    CamVid/{train,val,test}/<stem>.png
    CamVid/{train,val,test}annot/<stem>.png  0..10, 11 = unlabelled

The lists name every pair of a split, so a folder may hold more.
"""

from pathlib import Path, PurePosixPath

from cgrseg.classes import published
from cgrseg.data.datasets.labelled import Layout, files_by_stem, paired, published_lookup
from cgrseg.errors import DatasetError

LAYOUT = "CamVid holds train.txt, train/ and trainannot/, and the same for val and test"


def find(path: Path, split: str) -> Layout:
    """A split of CamVid; `path` is the folder `CamVid` or its parent."""
    root = path / "CamVid" if (path / "CamVid").is_dir() else path
    listing = root / f"{split}.txt"
    if not listing.is_file():
        raise DatasetError(f"{listing}: no such list; {LAYOUT}")
    lines = [line.split() for line in listing.read_text(encoding="utf-8").splitlines()]
    stems = [PurePosixPath(line[0]).stem for line in lines if line]
    images = files_by_stem(root / split, (".png",), LAYOUT)
    labels = files_by_stem(root / f"{split}annot", (".png",), LAYOUT)
    return Layout(published("camvid"), published_lookup("camvid"), paired(stems, images, labels, str(listing)))

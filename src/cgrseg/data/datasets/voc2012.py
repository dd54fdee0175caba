"""PASCAL VOC 2012 segmentation: 20 classes and background.

    VOC2012/JPEGImages/<stem>.jpg
    VOC2012/SegmentationClass/<stem>.png                     palette PNG: 0 = background, 1..20, 255 = border
    VOC2012/ImageSets/Segmentation/{train,val,trainval}.txt  one stem a line

JPEGImages holds the images of all tasks; the lists name those with label maps.
"""

from pathlib import Path

from cgrseg.data.datasets.labelled import Layout, files_by_stem, listed, paired, published_layout, root_of

LAYOUT = "VOC2012 holds JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/<split>.txt"


def find(path: Path, split: str) -> Layout:
    """A split of VOC 2012; `path` is the folder `VOC2012`, `VOCdevkit` or its parent."""
    root = root_of(path, "VOC2012", "VOCdevkit/VOC2012")
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    stems = listed(listing, LAYOUT)
    images = files_by_stem(root / "JPEGImages", (".jpg",), LAYOUT)
    labels = files_by_stem(root / "SegmentationClass", (".png",), LAYOUT)
    return published_layout("voc2012", paired(stems, images, labels, str(listing)))

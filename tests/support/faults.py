"""Faults of data sets: how to plant each in a folder, and what a check must say of it."""

import json
import shutil

import numpy as np
from support.planted import (
    NAMES,
    all_labels,
    coco,
    copy_within,
    cut,
    dealt_out,
    gray_copies,
    image,
    in_colours,
    labelme,
    labels,
    leak,
    merged_16,
    near_leak,
    one_map_for_all,
    own_palette,
    renamed,
    repaint,
    resized,
    rewrite,
    saved_as,
    tree_of_image,
    turn,
    with_lines,
    with_spot,
    write_classes,
    write_meta,
)

FAULTS = {
    # folders, names, classes
    "no split": (
        lambda root: shutil.rmtree(root / "images/val"),
        "no-folder",
        "'val' has no folder images/val",
        "mkdir",
    ),
    "no images": (
        lambda root: [file.unlink() for file in (root / "images/val").iterdir()],
        "no-picture",
        "3 label files of val have no image",
        "mv -n ",
    ),
    "empty split": (
        lambda root: [
            file.unlink() for file in [*(root / "images/val").iterdir(), *(root / "annotations/val").iterdir()]
        ],
        "no-pictures",
        "'val' holds no images",
        "copy images into",
    ),
    "no classes": (lambda root: (root / "classes.txt").unlink(), "no-classes", "names no classes", "classes.txt"),
    "class twice": (
        lambda root: write_classes(root, "grass\nroad\ngrass\n"),
        "classes",
        "'grass' is listed twice",
        "edit",
    ),
    "class empty": (lambda root: write_classes(root, "grass\n\nsky\n"), "classes", "line 2 is empty", "edit"),
    "two tables": (
        lambda root: (root / "meta.json").write_text(json.dumps({"classes": list(NAMES)})),
        "classes",
        "names its classes twice",
        "keep only one",
    ),
    "meta is no JSON": (
        lambda root: [write_meta(root), (root / "meta.json").write_text("{classes")],
        "classes",
        "is not JSON",
        "meta.json",
    ),
    "no label": (lambda root: labels(root).unlink(), "no-label", "1 of 6 images of train has no label file", "mv -n "),
    "no image": (lambda root: image(root).unlink(), "no-picture", "1 label file of train has no image", "mv -n "),
    "names differ": (renamed, "no-label", "6 of 6 images", '"${f%_mask.*}.${f##*.}"'),
    "same stem": (
        lambda root: shutil.copy(image(root), image(root).with_suffix(".jpg")),
        "same-stem",
        "has the name of another",
        "mv -n ",
    ),
    # images
    "image empty": (
        lambda root: image(root).write_bytes(b""),
        "picture-empty",
        "1 of 9 images is an empty file",
        "mv -n ",
    ),
    "image cut": (lambda root: cut(image(root)), "picture-damaged", "cut short", "download them again"),
    "image is text": (lambda root: image(root).write_text("hello"), "picture-damaged", "holds text", "mv -n "),
    "image tiny": (
        lambda root: [rewrite([file(root)], lambda values: values[:8, :8]) for file in (image, labels)],
        "picture-tiny",
        "a side below 32 pixels",
        "mv -n ",
    ),
    "image clear": (
        lambda root: rewrite([image(root)], lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 99, np.uint8)])),
        "picture-alpha",
        "transparent parts, which are read as white",
        "background",
    ),
    "image 16 bit": (
        lambda root: rewrite([image(root)], lambda rgb: rgb[..., 0].astype(np.uint16) * 200),
        "picture-16",
        "more than 8 bits a channel",
        "which takes data.levels=[0,65535]",
    ),
    "image turned": (lambda root: turn(image(root), 6), "turned", "drawn on it unturned", "exiftool -Orientation="),
    "image upside down": (lambda root: turn(image(root), 3), "orientation", "before or after", "cgrseg data show"),
    # label files
    "label turned": (lambda root: turn(labels(root), 3), "label-orientation", "never done with numbers", "exiftool"),
    "label across": (
        lambda root: rewrite([labels(root)], lambda values: values.T.copy()),
        "across",
        "lies across",
        "height, width",
    ),
    "label small": (
        lambda root: rewrite([labels(root)], lambda values: values[::2, ::2]),
        "size",
        "32 x 24 where the image is 64 x 48",
        "resize((64, 48), 0)",
    ),
    "label cropped": (
        lambda root: rewrite([labels(root)], lambda values: values[:, :20]),
        "size",
        "20 x 48",
        "shapes differ",
    ),
    "label empty": (
        lambda root: labels(root).write_bytes(b""),
        "label-empty",
        "1 of 9 label files is an empty file",
        "export",
    ),
    "label cut": (lambda root: cut(labels(root)), "label-damaged", "damaged or cut short", "export them again"),
    "label .jpg": (lambda root: saved_as(labels(root), "JPEG", ".jpg"), "label-format", "a format", "JPEG has changed"),
    "label .pgm": (
        lambda root: saved_as(labels(root), "PPM", ".pgm"),
        "label-format",
        "a format",
        "with_suffix('.png')",
    ),
    "JPEG named png": (lambda root: saved_as(labels(root), "JPEG", ".png"), "label-jpeg", "is a JPEG inside", "PNG"),
    "label in RGB": (gray_copies, "label-rgb-gray", "three times, as RGB", "getchannel(0)"),
    "label with alpha": (
        lambda root: rewrite([labels(root)], lambda values: np.dstack([values, np.full_like(values, 255)])),
        "label-alpha",
        "alpha channel",
        "getchannel(0)",
    ),
    "label in colours": (
        lambda root: [in_colours(root), (root / "meta.json").unlink(), write_classes(root, "\n".join(NAMES))],
        "label-colours",
        "9 label files hold 4 colours, not class numbers",
        "[128, 64, 128]",
    ),
    "label is the photo": (tree_of_image, "label-photo", "is a photo", "mixed up"),
    "colour unknown": (
        lambda root: [in_colours(root), repaint(labels(root), lambda rgb: with_spot(rgb, (1, 2, 3)))],
        "colour-unknown",
        "such as (1, 2, 3)",
        '"ignore": [[1, 2, 3]]',
    ),
    "colour of two classes": (
        lambda root: [in_colours(root), write_meta(root, palette=[[0, 128, 0], [0, 128, 0], [70, 130, 180]])],
        "colour-unknown",
        "the colour (0, 128, 0) of 'road' stands for something else, too",
        "meta.json",
    ),
    "colours mixed": (
        lambda root: [in_colours(root), repaint(labels(root), resized)],
        "colours-mixed",
        "mixed from those of the classes",
        "without smoothing",
    ),
    "palettes differ": (
        lambda root: [own_palette(file, place % 2) for place, file in enumerate(all_labels(root))],
        "palettes-differ",
        "their numbers mean nothing",
        "RGB PNG",
    ),
    "label smoothed": (lambda root: rewrite([labels(root)], resized), "interpolated", "in-between numbers", "NEAREST"),
    "label with thin lines": (
        lambda root: rewrite([labels(root)], with_lines),
        "thin-class",
        "on many borders a value between",
        "thin line",
    ),
    "label stretched": (lambda root: rewrite(all_labels(root), merged_16), "stretched", "times 257", "// 257"),
    "label of 16 bit": (
        lambda root: rewrite([labels(root)], lambda v: v.astype(np.uint16)),
        "label-16",
        "16 bits",
        "nothing",
    ),
    "polygon of no class": (
        lambda root: labelme(root, "skyy"),
        "shapes",
        "'skyy' is not a class",
        "did you mean 'sky'",
    ),
    "line in LabelMe": (lambda root: labelme(root, "sky", "line"), "shapes", "is a line, which has no area", "polygon"),
    # values
    "one too high": (
        lambda root: rewrite(all_labels(root), lambda values: np.where(values < 3, values + 1, 255).astype(np.uint8)),
        "shifted",
        "labels are one too high: values are 1..3",
        '"values": [1, 2, 3], "ignore": [255]',
    ),
    "zero is no label": (
        lambda root: rewrite(all_labels(root), lambda values: np.where(values < 3, values + 1, 0).astype(np.uint8)),
        "one-too-many",
        "values are 0..3, one more than the 3 classes",
        '"values": [1, 2, 3], "ignore": [0, 255]',
    ),
    "spread for the eye": (
        lambda root: rewrite(all_labels(root), lambda values: np.where(values < 3, values * 120, 255).astype(np.uint8)),
        "spread",
        "values are 0, 120, 240: as many as classes",
        '"values": [0, 120, 240]',
    ),
    "value of no class": (
        lambda root: rewrite([labels(root)], lambda values: with_spot(values, 17)),
        "outside",
        "17 in 9 pixels; classes are 0..2",
        '"ignore": [17, 255]',
    ),
    "masks of 0 and 255": (
        lambda root: [
            write_classes(root, "rest\nroad\n"),
            rewrite(all_labels(root), lambda values: np.where(values == 0, 0, 255).astype(np.uint8)),
        ],
        "mask-255",
        "255, which is read as no label",
        '"values": [0, 255], "ignore": []',
    ),
    "0 never": (
        lambda root: rewrite(all_labels(root), lambda values: np.where(values == 0, 1, values).astype(np.uint8)),
        "zero-never",
        "0 (grass) never occurs",
        "cgrseg data show",
    ),
    # classes
    "nothing labelled": (
        lambda root: rewrite(all_labels(root), lambda values: np.full_like(values, 255)),
        "nothing-labelled",
        "no pixel of all 9 label maps",
        "label the images",
    ),
    "a map without label": (
        lambda root: rewrite([labels(root)], lambda values: np.full_like(values, 255)),
        "map-unlabelled",
        "1 of 9 label maps has no class anywhere",
        "train/p0.png",
    ),
    "a map of one value": (
        lambda root: rewrite([labels(root)], lambda values: np.full_like(values, 1)),
        "map-single",
        "1 of 9 label maps holds one value only",
        "cgrseg data show",
    ),
    "hardly any label": (
        lambda root: rewrite(
            all_labels(root), lambda v: np.where(np.arange(v.size).reshape(v.shape) < 200, v, 255).astype(np.uint8)
        ),
        "mostly-unlabelled",
        "of the pixels have no label",
        "background",
    ),
    "class never seen": (
        lambda root: write_classes(root, "grass\nroad\nsky\nsea\n"),
        "unseen",
        "1 of 4 classes",
        "merge the classes",
    ),
    "class not in train": (
        lambda root: rewrite(
            [labels(root, index) for index in range(6)],
            lambda values: np.where(values == 2, 1, values).astype(np.uint8),
        ),
        "unlearnt",
        "1 class occurs in val but never in train",
        "into train",
    ),
    "class not in val": (
        lambda root: rewrite(
            [labels(root, index, "val") for index in range(3)], lambda v: np.where(v == 2, 1, v).astype(np.uint8)
        ),
        "unscored",
        "1 class occurs in train but not in val",
        "out of train",
    ),
    "classes differ": (coco, "classes-differ", "train has 3, val has 2", "classes.txt"),
    # copies
    "in two splits": (leak, "leak", "1 image is in two splits", "take them out of one: mkdir -p "),
    "nearly in two splits": (near_leak, "near-leak", "looks like one in train", "data.hold_out"),
    "frames dealt out": (dealt_out, "frames", "is in another split (frames of one video", "keep whole videos"),
    "twice": (lambda root: copy_within(root, with_labels=True), "same-picture", "twice in one split", "mv -n "),
    "twice, not alike": (lambda root: copy_within(root, with_labels=False), "contradiction", "different labels", "mv "),
    "one map for all": (one_map_for_all, "same-labels", "equal pixel for pixel", "cgrseg data show"),
}
"""For each fault: how to plant it, the code of its finding, words of its sentence and of its remedy."""

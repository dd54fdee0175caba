import numpy as np
import pytest
import yaml
from jaxtyping import Float32

from cgrseg.classes import named
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.data.datasets import open_dataset
from cgrseg.data.images import read_label_map, write_image, write_palette_png
from cgrseg.errors import DatasetError
from cgrseg.evaluation import compare, evaluate
from cgrseg.predictor import Segmenter
from cgrseg.weights import WeightsInfo

CLASSES = named(("dark", "bright", "never"))


class Brightness:
    """An engine that calls a pixel bright where its normalised red is positive."""

    name, precision, metadata = "brightness", "fp32", {}

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b 3 h w"]:
        red = images[:, 0, 4::8, 4::8]
        return np.stack([-red, red, np.full_like(red, -99)], 1)


@pytest.fixture
def segmenter():
    info = WeightsInfo(model=ModelConfig(classes=3), classes=CLASSES, inference=InferenceConfig(short_px=32))
    return Segmenter(Brightness(), info)


@pytest.fixture
def images(tmp_path):
    """One image of two squares, bright left and dark right, of which some labels are wrong or missing."""
    labels = np.zeros((32, 64), np.uint8)
    labels[:, :32] = 1
    image = (40 + 180 * labels[..., None].repeat(3, 2)).astype(np.uint8)
    labels[:, :8] = 0
    labels[:, 40:48] = 255
    for part in ("images", "annotations"):
        (tmp_path / part / "val").mkdir(parents=True)
    write_image(tmp_path / "images/val/a.png", image)
    write_palette_png(tmp_path / "annotations/val/a.png", labels, CLASSES.colours)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES.names))
    return tmp_path


def test_scores_count_labelled_pixels_at_the_size_of_the_annotation(segmenter, images):
    progress = []

    evaluation = evaluate(segmenter, open_dataset("folder", images, "val"), lambda *counts: progress.append(counts))

    tree = evaluation.as_tree()
    assert progress == [(1, 1)]
    assert evaluation.scores.pixels == 32 * 56
    assert tree["pictures"] == 1
    assert tree["iou"] == {"dark": 24 / 32, "bright": 24 / 32, "never": None}
    assert tree["miou"] == 0.75
    assert tree["pixel_accuracy"] == pytest.approx(48 / 56)
    assert tree["mean_accuracy"] == pytest.approx((24 / 32 + 24 / 24) / 2)
    assert "short side 32" in tree["protocol"]


def test_data_of_other_classes_is_refused_with_the_difference(segmenter, images):
    (images / "classes.txt").write_text("dark\nlight\nnever\n")

    with pytest.raises(DatasetError, match="the model predicts a class 'bright' where folder has 'light'"):
        evaluate(segmenter, open_dataset("folder", images, "val"))

    (images / "classes.txt").write_text("dark\nbright\n")
    with pytest.raises(DatasetError, match="the model predicts 3 classes but folder has 2"):
        evaluate(segmenter, open_dataset("folder", images, "val"))


def test_classes_in_another_order_are_refused_with_the_merge_that_puts_them_right(segmenter, images):
    labels = images / "annotations/val/a.png"
    straight = evaluate(segmenter, open_dataset("folder", images, "val"))
    swapped = np.array([1, 0, 2, *range(3, 256)], np.uint8)[read_label_map(labels)]
    write_palette_png(labels, swapped, CLASSES.colours)
    (images / "classes.txt").write_text("bright\ndark\nnever\n")

    with pytest.raises(DatasetError) as told:
        evaluate(segmenter, open_dataset("folder", images, "val"))
    merge = yaml.safe_load(told.value.advice.partition("order: ")[2])
    merged = open_dataset("folder", images, "val", merge={name: tuple(old) for name, old in merge.items()})

    assert told.value.problem.endswith("in another order: dark, bright, never, not bright, dark, never")
    assert told.value.setting == "merge"
    assert evaluate(segmenter, merged).as_tree() == straight.as_tree()


def test_images_without_any_label_are_refused_and_not_scored_as_0(segmenter, images):
    write_palette_png(images / "annotations/val/a.png", np.full((32, 64), 255, np.uint8), CLASSES.colours)

    with pytest.raises(DatasetError, match="no pixel of the 1 images of split 'val' has a label, so nothing can be"):
        evaluate(segmenter, open_dataset("folder", images, "val"))


@pytest.fixture
def inverse(segmenter):
    """A segmenter that calls bright dark and dark bright."""

    class Inverse(Brightness):
        def __call__(self, images):
            return super().__call__(images)[:, [1, 0, 2]]

    return Segmenter(Inverse(), segmenter.info)


def add_image(root, name, level, label):
    write_image(root / f"images/val/{name}.png", np.full((32, 64, 3), level, np.uint8))
    write_palette_png(root / f"annotations/val/{name}.png", np.full((32, 64), label, np.uint8), CLASSES.colours)


def test_each_image_has_its_own_miou_and_none_where_nothing_is_labelled(segmenter, images):
    add_image(images, "b", 220, 1)
    add_image(images, "c", 220, 255)

    tree = evaluate(segmenter, open_dataset("folder", images, "val")).as_tree()

    assert tree["picture_mious"] == {"a": 0.75, "b": 1.0, "c": None}
    assert tree["picture_miou"] == 0.875
    assert tree["picture_miou_interval"] == (0.75, 1.0)
    assert tree["miou_interval"][0] <= tree["miou"] <= tree["miou_interval"][1]
    assert tree["frequency_weighted_iou"] == pytest.approx((32 * 24 / 32 + 88 * 88 / 96) / 120)


def test_a_model_compared_with_itself_gains_nothing(segmenter, images):
    add_image(images, "b", 30, 1)
    evaluation = evaluate(segmenter, open_dataset("folder", images, "val"))

    tree = compare(evaluation, evaluation).as_tree()

    assert (tree["miou"], tree["miou_interval"], tree["picture_miou_interval"]) == (0, (0, 0), (0, 0))
    assert (tree["better"], tree["worse"], tree["equal"]) == (0, 0, 2)


def test_a_better_model_gains_on_each_image(segmenter, inverse, images):
    add_image(images, "b", 220, 1)
    dataset = open_dataset("folder", images, "val")
    right, wrong = evaluate(segmenter, dataset), evaluate(inverse, dataset)

    gain = compare(right, wrong)

    assert gain.miou == right.scores.miou - wrong.scores.miou
    assert gain.miou_interval[0] > 0
    assert gain.image_miou == pytest.approx(((0.75 - 8 / 56 / 2) + (1 - 0)) / 2)
    assert (gain.better, gain.worse, gain.equal) == (2, 0, 0)
    assert compare(wrong, right).miou_interval == pytest.approx(tuple(-end for end in gain.miou_interval[::-1]))


def test_edges_and_calibration_are_measured_where_asked_for(segmenter, images):
    dataset = open_dataset("folder", images, "val")

    plain = evaluate(segmenter, dataset).as_tree()
    tree = evaluate(segmenter, dataset, boundary=True, calibration=True).as_tree()

    assert not {"boundary", "calibration"} & set(plain)
    assert list(tree["boundary"]["iou"]) == list(CLASSES.names)
    assert tree["boundary"]["iou"]["never"] is None
    assert 0 < tree["boundary"]["miou"] < 1
    assert sum(row["pixels"] for row in tree["calibration"]["bins"]) == 32 * 56
    assert plain.items() <= tree.items()

import numpy as np
import pytest
from jaxtyping import Float32

from cgrseg.classes import named
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.data.datasets import open_dataset
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.errors import DatasetError
from cgrseg.evaluation import evaluate
from cgrseg.prediction import Segmenter
from cgrseg.weights import WeightsInfo

CLASSES = named(("dark", "bright", "never"))


class Brightness:
    """An engine that calls a pixel bright where its normalised red is positive."""

    name = "brightness"

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b 3 h w"]:
        red = images[:, 0, 4::8, 4::8]
        return np.stack([-red, red, np.full_like(red, -99)], 1)


@pytest.fixture
def segmenter():
    info = WeightsInfo(model=ModelConfig(classes=3), classes=CLASSES, inference=InferenceConfig(short_px=32))
    return Segmenter(Brightness(), info)


@pytest.fixture
def pictures(tmp_path):
    """One picture of two squares, bright left and dark right, of which some labels are wrong or missing."""
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


def test_scores_count_labelled_pixels_at_the_size_of_the_annotation(segmenter, pictures):
    done = []

    evaluation = evaluate(segmenter, open_dataset("folder", pictures, "val"), done.append)

    tree = evaluation.as_tree()
    assert done == [1]
    assert evaluation.scores.pixels == 32 * 56
    assert tree["pictures"] == 1
    assert tree["iou"] == {"dark": 24 / 32, "bright": 24 / 32, "never": None}
    assert tree["miou"] == 0.75
    assert tree["pixel_accuracy"] == pytest.approx(48 / 56)
    assert tree["mean_accuracy"] == pytest.approx((24 / 32 + 24 / 24) / 2)
    assert "short side 32" in tree["protocol"]


def test_data_of_other_classes_is_refused_with_the_difference(segmenter, pictures):
    (pictures / "classes.txt").write_text("dark\nlight\nnever\n")

    with pytest.raises(DatasetError, match="the model predicts a class 'bright' where folder has 'light'"):
        evaluate(segmenter, open_dataset("folder", pictures, "val"))

    (pictures / "classes.txt").write_text("dark\nbright\n")
    with pytest.raises(DatasetError, match="the model predicts 3 classes but folder has 2"):
        evaluate(segmenter, open_dataset("folder", pictures, "val"))

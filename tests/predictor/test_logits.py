"""From an image of any size to a label map of that size."""

import numpy as np
import pytest
from PIL import Image as Pillow
from support.colour_engine import ColourEngine, colour_info, flag

from cgrseg.errors import CheckpointError
from cgrseg.predictor import Segmenter
from cgrseg.predictor.protocols import Protocol
from cgrseg.predictor.views import ImageLogits, infer, prepare, prepare_views
from cgrseg.runtime import Engine
from cgrseg.weights import WeightsInfo


def predict(engine: Engine, info: WeightsInfo, image: np.ndarray) -> ImageLogits:
    return infer(engine, [prepare_views(image, info, Protocol())])[0]


@pytest.mark.parametrize(
    ("size", "prepared"),
    [
        ((64, 64), (64, 64)),  # as it is
        ((30, 20), (96, 64)),  # enlarged to the short side
        ((640, 320), (128, 64)),  # reduced to both sides
        ((100, 800), (16, 128)),  # the long side wins
        ((1, 1), (64, 64)),
        ((1, 3000), (1, 128)),  # never 0
        ((3000, 1), (128, 1)),
    ],
)
def test_an_image_is_fitted_into_short_and_long_side(size, prepared):
    image = np.zeros((*size, 3), np.uint8)

    assert prepare(image, colour_info()).shape == (3, *prepared)


def test_values_are_normalised_by_the_weights_own_mean_and_deviation():
    info = colour_info().__class__(**(vars(colour_info()) | {"mean": (100.0, 0.0, 1.0), "std": (50.0, 1.0, 2.0)}))

    prepared = prepare(np.full((64, 64, 3), 200, np.uint8), info)

    assert prepared[:, 0, 0].tolist() == [2.0, 200.0, 99.5]


@pytest.mark.parametrize("size", [(64, 64), (61, 62), (128, 128), (37, 200), (500, 60)])
def test_labels_have_the_images_size_and_change_where_it_changes(size):
    image = flag(*size)

    labels = predict(ColourEngine(), colour_info(), image).labels()

    slack = -(-8 * size[1] // 64)  # a grid point, seen in the image
    assert labels.shape == size
    assert (labels[:, : size[1] // 2 - slack] == 0).all()
    assert (labels[:, size[1] // 2 + slack :] == 2).all()


def test_labels_are_right_to_the_pixel_where_the_grid_meets_the_edge():
    labels = predict(ColourEngine(), colour_info(), flag(64, 64)).labels()

    assert (labels[:, :32] == 0).all()
    assert (labels[:, 32:] == 2).all()


def test_a_grid_that_reaches_beyond_the_image_does_not_move_its_labels():
    image = np.zeros((64, 257, 3), np.uint8)
    image[:, :224, 0] = 255
    image[:, 224:, 2] = 255

    labels = predict(ColourEngine(), colour_info(long_px=600), image).labels()

    assert (labels[:, :224] == 0).all()
    assert (labels[:, 224:] == 2).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 5), (7, 900)])
def test_extreme_images_get_a_label_for_every_pixel(size):
    image = np.zeros((*size, 3), np.uint8)
    image[..., 1] = 200

    labels = predict(ColourEngine(), colour_info(), image).labels()

    assert labels.shape == size
    assert (labels == 1).all()


def test_confidence_is_the_probability_of_the_label():
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 1] = 2  # logits 0, 2, 0

    logits = predict(ColourEngine(), colour_info(), image)

    assert (logits.labels() == 1).all()
    assert logits.confidence() == pytest.approx(np.full((64, 64), np.exp(2) / (np.exp(2) + 2)), abs=1e-5)


def test_the_engine_sees_one_image_at_a_time():
    engine = ColourEngine()

    predict(engine, colour_info(), flag(640, 320))

    assert engine.seen == [(1, 3, 128, 64)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_network_that_gives_no_numbers_is_refused(tmp_path, value):
    class Broken(ColourEngine):
        def __call__(self, images):
            logits = super().__call__(images)
            logits[0, 1, -1, -1] = value
            return logits

    Pillow.fromarray(flag(64, 64)).save(tmp_path / "photo.png")
    segmenter = Segmenter(Broken(), colour_info(), weights="broken.safetensors")

    for use in (segmenter, lambda path: list(segmenter.stream(path))):
        with pytest.raises(
            CheckpointError, match=r"broken\.safetensors: the output of the network holds NaN or infinity"
        ):
            use(tmp_path / "photo.png")


def test_a_network_of_other_classes_than_described_is_refused():
    class Fewer(ColourEngine):
        def __call__(self, images):
            return super().__call__(images)[:, :2]

    with pytest.raises(CheckpointError, match="fewer gives 2 classes and describes 3"):
        Segmenter(Fewer(), colour_info(), weights="fewer")(flag(64, 64))

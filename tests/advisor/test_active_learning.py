"""Which images to label next."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cgrseg.advisor.active_learning import COUNT, candidate, rank_unlabelled
from cgrseg.classes import named
from cgrseg.data.similarity import image_bits
from cgrseg.errors import ImageError
from cgrseg.predictor import Segmentation, Segmenter
from cgrseg.predictor.views import KnownConfidence


def scene(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)


def answer(name: str, image: np.ndarray, confidence: float) -> Segmentation:
    labels = np.zeros((48, 48), np.uint8)
    labels[:, 24:] = 1
    sure = np.full((48, 48), confidence, np.float32)
    sure[:, :24] = 1.0
    return Segmentation(
        image=image,
        labels=labels,
        confidence_source=KnownConfidence(sure),
        classes=named(("road", "car")),
        name=name,
        source=Path(f"{name}.png"),
    )


class Known(Segmenter):
    """A segmenter whose answers are known beforehand."""

    def __init__(self, answers: list[Segmentation]) -> None:
        self.answers = answers

    def stream(self, sources: Path) -> Iterator[Segmentation]:
        return iter(self.answers)


def ranked(folder: Path, answers: list[Segmentation], labelled: tuple[np.ndarray, ...] = ()):
    for each in answers:
        Image.fromarray(each.image).save(folder / each.source.name)
    return rank_unlabelled(Known(answers), folder, [image_bits(image) for image in labelled])


def test_doubt_is_the_mean_of_what_confidence_lacks_and_is_told_by_class():
    found = candidate(answer("a", scene(0), 0.6))

    assert found.uncertainty == pytest.approx(0.2)
    assert found.classes == ("car",)


def test_the_least_sure_come_first(tmp_path):
    found = ranked(tmp_path, [answer("sure", scene(1), 0.9), answer("unsure", scene(2), 0.3)])

    assert [each.path.stem for each in found.candidates] == ["unsure", "sure"]
    assert (found.images, found.alike) == (2, 0)


def test_look_alikes_of_labelled_images_and_of_each_other_are_passed_over(tmp_path):
    answers = [answer("known", scene(1), 0.1), answer("new", scene(2), 0.2), answer("again", scene(2), 0.3)]

    found = ranked(tmp_path, answers, labelled=(scene(1),))

    assert [each.path.stem for each in found.candidates] == ["new"]
    assert found.alike == 2


def test_the_list_is_short(tmp_path):
    found = ranked(tmp_path, [answer(f"{place:02}", scene(place), 0.5) for place in range(COUNT + 3)])

    assert len(found.candidates) == COUNT


def test_a_folder_without_images_is_a_mistake(tmp_path):
    with pytest.raises(ImageError):
        rank_unlabelled(Known([]), tmp_path, [])

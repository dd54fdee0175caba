"""Ranking of unlabelled images."""

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


def segmentation(name: str, image: np.ndarray, confidence: float) -> Segmentation:
    labels = np.zeros((48, 48), np.uint8)
    labels[:, 24:] = 1
    confidences = np.full((48, 48), confidence, np.float32)
    confidences[:, :24] = 1.0
    return Segmentation(
        image=image,
        labels=labels,
        confidence_source=KnownConfidence(confidences),
        classes=named(("road", "car")),
        name=name,
        source=Path(f"{name}.png"),
    )


class FakeSegmenter(Segmenter):
    """A segmenter with given results."""

    def __init__(self, results: list[Segmentation]) -> None:
        self.results = results

    def stream(self, sources: Path) -> Iterator[Segmentation]:
        return iter(self.results)


def ranked(folder: Path, results: list[Segmentation], labelled: tuple[np.ndarray, ...] = ()):
    for result in results:
        Image.fromarray(result.image).save(folder / result.source.name)
    return rank_unlabelled(FakeSegmenter(results), folder, [image_bits(image) for image in labelled])


def test_uncertainty_is_the_mean_of_one_minus_confidence_and_names_its_classes():
    result = candidate(segmentation("a", scene(0), 0.6))

    assert result.uncertainty == pytest.approx(0.2)
    assert result.classes == ("car",)


def test_the_most_uncertain_come_first(tmp_path):
    ranking = ranked(tmp_path, [segmentation("sure", scene(1), 0.9), segmentation("unsure", scene(2), 0.3)])

    assert [entry.path.stem for entry in ranking.candidates] == ["unsure", "sure"]
    assert (ranking.images, ranking.alike) == (2, 0)


def test_near_duplicates_of_labelled_images_and_of_each_other_are_skipped(tmp_path):
    results = [
        segmentation("known", scene(1), 0.1),
        segmentation("new", scene(2), 0.2),
        segmentation("again", scene(2), 0.3),
    ]

    ranking = ranked(tmp_path, results, labelled=(scene(1),))

    assert [entry.path.stem for entry in ranking.candidates] == ["new"]
    assert ranking.alike == 2


def test_the_ranking_has_a_maximum_length(tmp_path):
    ranking = ranked(tmp_path, [segmentation(f"{index:02}", scene(index), 0.5) for index in range(COUNT + 3)])

    assert len(ranking.candidates) == COUNT


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(ImageError):
        rank_unlabelled(FakeSegmenter([]), tmp_path, [])

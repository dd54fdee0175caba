"""One temperature for weights, so that of the pixels labelled with 80 % confidence 80 % are right.

    first pass    losses of each half of the images --> temperatures: of all, of the first half, of the second
    second pass   confidence at these and at the old one --> calibration errors

A temperature looks best on the images that it was fitted on, so the error is measured across halves, too. Halves are
the first and the second, not every other image: neighbours may be frames of one video.

Axes: t temperatures.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from safetensors.torch import load_file

from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.labelled import plain
from cgrseg.errors import CheckpointError, DatasetError
from cgrseg.evaluation.evaluate import pass_over, require_same_classes
from cgrseg.metrics.calibration import GRID, NOTHING, Reliability, losses, lowest, reliability, some_labelled
from cgrseg.predictor import Segmentation, Segmenter
from cgrseg.predictor.views import ImageLogits
from cgrseg.runtime import is_graph
from cgrseg.types import LabelMap
from cgrseg.weights import bundled_names, find_weights, open_weights, write_tensors


@dataclass(frozen=True, kw_only=True)
class Half:
    """The temperature of one half of the images, judged on the other."""

    temperature: float
    before: float
    """Expected calibration error of the other half at the weights' own temperature, 0..1."""
    after: float
    """The same at the temperature of this half."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted temperature, and how much better confidence is with it."""

    temperature: float
    before: float
    """Expected calibration error of all images at the weights' own temperature, 0..1."""
    after: float
    """The same at the new temperature, which was fitted on them."""
    halves: tuple[Half, Half]
    reliability: Reliability = field(repr=False, compare=False)
    """Of all images at the new temperature."""

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return {
            "temperature": self.temperature,
            "before": self.before,
            "after": self.after,
            "halves": [vars(half) for half in self.halves],
            "bins": self.reliability.as_tree()["bins"],
        }


def calibrate(
    segmenter: Segmenter,
    dataset: LabelledImages,
    on_progress: Callable[[int], None] | None = None,
    *,
    workers: int = 1,
    batch: int = 1,
) -> Calibration:
    """Fit the temperature of weights on labelled images: the least negative log likelihood of some of their pixels.

    Args:
        segmenter: what `cgrseg.load` gives, with the protocol `whole`.
        dataset: what `open_dataset` gives; its classes must be the model's.
        on_progress: called after each image of two passes with the number done.
        workers: as in `evaluate`.
        batch: as in `evaluate`.

    Raises:
        DatasetError: the data set has other classes than the model, or a half of it has no labels.
        CheckpointError: the protocol is another one.
    """
    require_same_classes(segmenter.classes, dataset)
    _require_plain(segmenter)
    images, done = len(dataset), on_progress or (lambda _: None)
    sums, classes = np.zeros((2, len(GRID))), len(dataset.classes)

    def measure(truth: LabelMap, answer: Segmentation) -> Float64[np.ndarray, "t"]:
        return _losses(plain(truth, classes), answer)

    for index, found in enumerate(pass_over(segmenter, dataset, measure, workers=workers, batch=batch)):
        sums[2 * index // images] += found
        done(index + 1)
    if not sums.any(axis=1).all():
        raise DatasetError(f"{dataset.split!r} of {dataset.kind} needs labels in its first and in its second half")
    temperatures = [segmenter.info.temperature, lowest(sums.sum(axis=0)), *(lowest(half) for half in sums)]

    def judge(truth: LabelMap, answer: Segmentation) -> list[Reliability]:
        truth = plain(truth, classes)
        return [reliability(truth, answer.labels, _confidence(answer, each)) for each in temperatures]

    found = [[NOTHING] * len(temperatures) for _ in sums]
    for index, each in enumerate(pass_over(segmenter, dataset, judge, workers=workers, batch=batch)):
        half = found[2 * index // images]
        half[:] = [total + one for total, one in zip(half, each, strict=True)]
        done(images + index + 1)
    return _report(temperatures, found)


def _report(temperatures: list[float], found: list[list[Reliability]]) -> Calibration:
    """Errors on all images, and on each half with the temperature of the other."""
    before, after = (sum((half[place] for half in found), NOTHING) for place in (0, 1))
    halves = (
        Half(temperature=temperatures[2], before=found[1][0].expected_error, after=found[1][2].expected_error),
        Half(temperature=temperatures[3], before=found[0][0].expected_error, after=found[0][3].expected_error),
    )
    return Calibration(
        temperature=temperatures[1],
        before=before.expected_error,
        after=after.expected_error,
        halves=halves,
        reliability=after,
    )


def _losses(truth: LabelMap, answer: Segmentation) -> Float64[np.ndarray, "t"]:
    """The losses of an image at each temperature, summed over its labelled pixels as if all had been looked at."""
    pixels, labelled = some_labelled(truth)
    if labelled == 0:
        return np.zeros(len(GRID))
    assert isinstance(answer.confidence_source, ImageLogits)
    return labelled * losses(answer.confidence_source.logits_of(pixels), truth.reshape(-1)[pixels].astype(np.int64))


def _confidence(answer: Segmentation, temperature: float) -> np.ndarray:
    assert isinstance(answer.confidence_source, ImageLogits)
    return replace(answer.confidence_source, temperature=temperature).confidence()


def _require_plain(segmenter: Segmenter) -> None:
    if not segmenter.protocol.is_plain:
        raise CheckpointError(
            "a temperature is fitted on whole images",
            advice="leave the protocol at `whole`",
            setting="protocol",
        )


def require_target(segmenter: Segmenter, file: Path) -> None:
    """Refuse what cannot be calibrated, or a file that the weights cannot be written to, before any work is done.

    Raises:
        CheckpointError: the weights are an export, the protocol is not `whole`, or the file is no place for weights.
    """
    _require_plain(segmenter)
    if is_graph(segmenter.weights):
        raise CheckpointError(
            f"{segmenter.weights} is an export",
            advice="calibrate the .safetensors it was made of, and export that again",
        )
    if file.suffix != ".safetensors":
        raise CheckpointError(f"{file}: calibrated weights go to a file whose name ends in .safetensors")
    bundled = [find_weights(name).resolve() for name in bundled_names()]
    if file.resolve() in bundled:
        raise CheckpointError(
            f"{file} belongs to the package",
            advice="give another file",
        )


def write_temperature(weights: str, file: Path, temperature: float) -> None:
    """Write weights anew with a temperature, their tensors as they were; the file appears whole or not at all."""
    model, info = open_weights(weights)
    path = find_weights(weights)
    tensors = load_file(path) if path.suffix == ".safetensors" else model.state_dict()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(file, tensors, replace(info, temperature=temperature))

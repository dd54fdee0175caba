"""Temperature calibration: fit one temperature so that of the pixels labelled with 80 % confidence 80 % are right.

    first pass    losses of each half of the images ----------------> temperatures: of all, first half, second half
    second pass   confidence at these and at the old temperature ---> calibration errors

A temperature looks best on the images it was fitted on, so each half is also scored with the temperature of the other.
The halves are the first and the second, not every other image: neighbours may be frames of one video.

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
from cgrseg.evaluation.evaluate import pass_over
from cgrseg.evaluation.results import require_same_classes
from cgrseg.metrics.calibration import GRID, NOTHING, Reliability, losses, lowest, reliability, some_labelled
from cgrseg.predictor import Segmentation, Segmenter
from cgrseg.predictor.views import ImageLogits
from cgrseg.runtime import is_graph
from cgrseg.types import LabelMap
from cgrseg.weights import bundled_names, find_weights, open_weights, write_tensors


@dataclass(frozen=True, kw_only=True)
class Half:
    """Temperature fitted on one half of the images, and its calibration error on the other half."""

    temperature: float
    before: float
    """Expected calibration error, 0..1, at the temperature that the weights have."""
    after: float
    """Expected calibration error, 0..1, at the temperature of this half."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted temperature, and the calibration errors before and after."""

    temperature: float
    before: float
    """Expected calibration error of all images, 0..1, at the temperature that the weights have."""
    after: float
    """The same at the new temperature, which was fitted on these images."""
    halves: tuple[Half, Half]
    reliability: Reliability = field(repr=False, compare=False)
    """Reliability on all images at the new temperature."""

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
    on_progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
    batch: int = 1,
) -> Calibration:
    """Fit the temperature with the least negative log likelihood on a sample of the labelled pixels of each image.

    Args:
        segmenter: from `cgrseg.load`, with the protocol `whole`.
        dataset: from `open_dataset`; its classes must be those of the model.
        on_progress: called as `on_progress(done, total)` after each image; two passes count every image twice.
        workers: as in `evaluate`.
        batch: as in `evaluate`.

    Raises:
        DatasetError: the data set has other classes than the model, or one half of it has no labels.
        CheckpointError: the protocol is not `whole`.
    """
    require_same_classes(segmenter.classes, dataset)
    _require_plain(segmenter)
    images, on_progress = len(dataset), on_progress or (lambda _done, _total: None)
    sums, classes = np.zeros((2, len(GRID))), len(dataset.classes)

    def measure(truth: LabelMap, answer: Segmentation) -> Float64[np.ndarray, "t"]:
        return _losses(plain(truth, classes), answer)

    for index, image_losses in enumerate(pass_over(segmenter, dataset, measure, workers=workers, batch=batch)):
        sums[2 * index // images] += image_losses
        on_progress(index + 1, 2 * images)
    if not sums.any(axis=1).all():
        raise DatasetError(f"{dataset.split!r} of {dataset.kind} needs labels in its first and in its second half")
    temperatures = [segmenter.info.temperature, lowest(sums.sum(axis=0)), *(lowest(half) for half in sums)]

    def judge(truth: LabelMap, answer: Segmentation) -> list[Reliability]:
        truth = plain(truth, classes)
        return [reliability(truth, answer.labels, _confidence(answer, temperature)) for temperature in temperatures]

    halves = [[NOTHING] * len(temperatures) for _ in sums]
    for index, results in enumerate(pass_over(segmenter, dataset, judge, workers=workers, batch=batch)):
        half = halves[2 * index // images]
        half[:] = [total + result for total, result in zip(half, results, strict=True)]
        on_progress(images + index + 1, 2 * images)
    return _report(temperatures, halves)


def _report(temperatures: list[float], halves: list[list[Reliability]]) -> Calibration:
    """Errors on all images, and on each half with the temperature of the other.

    `halves` holds, for both halves of the images, the reliability at each of the temperatures.
    """
    before, after = (sum((half[index] for half in halves), NOTHING) for index in (0, 1))
    first, second = halves
    return Calibration(
        temperature=temperatures[1],
        before=before.expected_error,
        after=after.expected_error,
        halves=(
            Half(temperature=temperatures[2], before=second[0].expected_error, after=second[2].expected_error),
            Half(temperature=temperatures[3], before=first[0].expected_error, after=first[3].expected_error),
        ),
        reliability=after,
    )


def _losses(truth: LabelMap, answer: Segmentation) -> Float64[np.ndarray, "t"]:
    """Loss of an image at each temperature: the mean over sampled pixels, times the number of labelled pixels."""
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
    """Check, before any work is done, that weights can be calibrated and the result written to `file`.

    Raises:
        CheckpointError: the weights are an export, the protocol is not `whole`, or `file` does not end in .safetensors
            or belongs to the package.
    """
    _require_plain(segmenter)
    if is_graph(segmenter.weights):
        raise CheckpointError(
            f"{segmenter.weights} is an export",
            advice="calibrate the .safetensors it was made from, and export that again",
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
    """Write weights with a new temperature and unchanged tensors; the file is written atomically."""
    model, info = open_weights(weights)
    path = find_weights(weights)
    tensors = load_file(path) if path.suffix == ".safetensors" else model.state_dict()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(file, tensors, replace(info, temperature=temperature))

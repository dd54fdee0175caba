"""TensorBoard logs of a run."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from support.tiny import RECIPE

from cgrseg.training import train
from cgrseg.training.loggers import TensorBoard


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorBoard's own
def test_tensorboard_gets_numbers_of_every_step_and_images_with_truth_and_prediction(images, tmp_path):
    accumulator = import_module("tensorboard.backend.event_processing.event_accumulator")

    with TensorBoard(tmp_path) as tensorboard:
        train(replace(RECIPE, train=replace(RECIPE.train, steps=2)), images, tmp_path, watch=tensorboard)

    written = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    written.Reload()
    tags = written.Tags()
    assert [event.step for event in written.Scalars("train/loss")] == [1, 2]
    assert {"train/lr", "train/gradient", "val/miou", "val_iou/dark"} <= set(tags["scalars"])
    assert sorted(tags["images"]) == ["pictures/0", "pictures/1"]
    shown = written.Images("pictures/0")[0]
    assert (shown.height, shown.width) == (48, 3 * 64)
    assert np.frombuffer(shown.encoded_image_string[:8], np.uint8)[1:4].tobytes() == b"PNG"

"""The temperature that was hidden in the logits is found again."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cgrseg.metrics.calibration import GRID, PIXELS, losses, lowest, some_labelled


def logits_and_truth(temperature: float, pixels: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax at this temperature is the probability that each class is true."""
    rng = np.random.default_rng(0)
    honest = 2 * rng.standard_normal((4, pixels))
    truth = (honest + rng.gumbel(size=honest.shape)).argmax(axis=0)
    return (temperature * honest).astype(np.float32), truth


def test_losses_are_the_negative_log_likelihood_at_each_temperature():
    logits, truth = logits_and_truth(1.0, 50)

    found = losses(logits, truth)

    expected = [
        F.cross_entropy(torch.from_numpy(logits.T.astype(np.float64)) / each, torch.from_numpy(truth)) for each in GRID
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.37, 4.0])
def test_the_lowest_loss_is_at_the_temperature_that_makes_probabilities_true(temperature):
    assert lowest(losses(*logits_and_truth(temperature))) == pytest.approx(temperature, rel=0.02)


def test_between_two_temperatures_that_are_tried_the_least_loss_is_found():
    logits, truth = logits_and_truth(1.0, 20_000)
    fine = torch.linspace(0.9, 1.1, 401, dtype=torch.float64)
    exact = torch.stack(
        [F.cross_entropy(torch.from_numpy(logits.T).double() / each, torch.from_numpy(truth)) for each in fine]
    )

    assert lowest(losses(logits, truth)) == pytest.approx(float(fine[exact.argmin()]), abs=1e-3)


def test_logits_that_are_never_wrong_get_the_coldest_temperature():
    logits = np.eye(3, dtype=np.float32)

    assert lowest(losses(logits, np.arange(3))) == GRID[0]


def test_a_part_of_the_labelled_pixels_is_drawn_and_always_the_same():
    truth = np.random.default_rng(0).integers(0, 3, (80, 90)).astype(np.uint8)
    truth[:40] = 255

    pixels, labelled = some_labelled(truth)

    assert (labelled, len(pixels), len(set(pixels.tolist()))) == (40 * 90, PIXELS, PIXELS)
    assert (truth.reshape(-1)[pixels] < 3).all()
    assert (pixels == some_labelled(truth)[0]).all()


def test_all_labelled_pixels_are_taken_where_there_are_few():
    truth = np.full((4, 5), 65535, np.uint16)
    truth[2, 3] = 299

    assert [part.tolist() if isinstance(part, np.ndarray) else part for part in some_labelled(truth)] == [[13], 1]

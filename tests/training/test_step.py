"""One optimizer step, and what keeps it from doing harm."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from support.tiny import RECIPE
from torch import nn

from cgrseg.config import TrainConfig
from cgrseg.data.loader import Batch
from cgrseg.errors import TrainingError
from cgrseg.training.distributed import World
from cgrseg.training.losses import label_weights
from cgrseg.training.step import MOST_SKIPPED, Stepper
from cgrseg.training.train import new_state


class Small(nn.Module):
    """Logits of two classes at an eighth of the size, through a BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 2, 8, 8), nn.BatchNorm2d(2)

    def forward(self, x):
        return self.norm(self.conv(x))


def stepper(**settings) -> Stepper:
    torch.manual_seed(0)
    config = TrainConfig(
        **{"steps": 100, "lr": 1e-2, "warmup_steps": 0, "ema": None, "channels_last": False} | settings
    )
    return Stepper(new_state(Small(), replace(RECIPE, train=config)), config, World(), label_weights(2))


def batch(step=0, fill=None, label=None, count=4) -> Batch:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(count, 3, 16, 16, generator=generator)
    labels = (images[:, 0] > 0).to(torch.uint8)
    if fill is not None:
        images[0, 0, 0, 0] = fill
    if label is not None:
        labels[:] = label
    return Batch(step, images, labels, tuple(f"p{place}" for place in range(count)))


def copied(model) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def test_a_step_moves_the_weights_and_tells_loss_rate_and_gradient():
    taking = stepper()
    before = copied(taking.state.model)

    taken = taking.take(batch())

    assert taken.loss > 0
    assert taken.lr == 1e-2
    assert taken.gradient > 0
    assert not taken.skipped
    assert taking.state.progress.step == 1
    assert not all(map(torch.equal, before, copied(taking.state.model)))


def test_a_batch_without_labels_changes_nothing():
    taking = stepper()
    before = copied(taking.state.model)

    taken = taking.take(batch(label=255))

    assert taken.skipped == "no pixel of the batch has a label"
    assert all(map(torch.equal, before, copied(taking.state.model)))
    assert taking.state.progress.step == 1


def test_a_loss_that_is_not_finite_ends_the_run_with_step_and_names():
    with pytest.raises(TrainingError, match=r"the loss is nan at step 3, on p0, p1, p2, p3; nothing was overwritten"):
        stepper().take(batch(3, fill=float("nan")))


def test_a_step_that_is_not_finite_can_be_passed_over_without_a_trace():
    taking = stepper(nonfinite="skip")
    before = copied(taking.state.model)

    taken = taking.take(batch(fill=float("inf")))

    assert taken.skipped.startswith("the loss is")
    assert all(map(torch.equal, before, copied(taking.state.model)))
    assert not taking.take(batch(1)).skipped


def test_too_many_steps_that_teach_nothing_end_the_run():
    taking = stepper(nonfinite="skip")
    for step in range(MOST_SKIPPED):
        taking.take(batch(step, fill=float("nan")))

    with pytest.raises(TrainingError, match=rf"{MOST_SKIPPED + 1} steps in a row taught nothing, the last at step 10"):
        taking.take(batch(10, fill=float("nan")))


def test_a_good_step_forgives_those_before_it():
    taking = stepper(nonfinite="skip")
    for step in range(3 * MOST_SKIPPED):
        taking.take(batch(step, fill=float("nan") if step % 2 else None))

    assert taking.state.progress.step == 3 * MOST_SKIPPED


def test_clipping_bounds_the_gradient_but_the_norm_is_told_as_it_was():
    free, clipped = stepper(), stepper(clip_norm=1e-3)

    told = [taking.take(batch()).gradient for taking in (free, clipped)]

    assert told[0] == told[1] > 1e-3
    norm = nn.utils.get_total_norm([value.grad for value in clipped.state.model.parameters()])
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_parts_of_a_batch_give_the_gradient_of_the_whole_where_no_batch_norm_sees_them():
    gradients = []
    for parts in (1, 2, 4):
        taking = stepper(accumulate=parts)
        taking.state.model.train = partial(nn.Module.train, taking.state.model, False)
        taking.take(batch())
        gradients.append([value.grad.clone() for value in taking.state.model.parameters()])

    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_what_full_precision_learns(precision):
    losses = {kind: [] for kind in ("fp32", precision)}
    for kind, told in losses.items():
        taking = stepper(precision=kind)
        told.extend(taking.take(batch(step)).loss for step in range(20))

    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.03)
    assert losses[precision][-1] < losses[precision][0]


def test_an_overflow_in_fp16_halves_the_scale_and_passes_the_step_over():
    taking = stepper(precision="fp16")
    taking.state.scaler._lazy_init_scale_growth_tracker(torch.device("cpu"))
    taking.state.scaler.update(2.0**40)

    taken = taking.take(batch())

    assert "overflows in fp16" in taken.skipped
    assert taking.state.scaler.get_scale() == 2.0**39

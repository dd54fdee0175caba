"""One optimizer step, and its checks."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from support.tiny import RECIPE
from torch import nn

from cgrseg.config import TrainConfig
from cgrseg.data.loader import Batch
from cgrseg.errors import TrainingError
from cgrseg.training.distributed import Processes
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
    return Stepper(new_state(Small(), replace(RECIPE, train=config)), config, Processes(), label_weights(2))


def batch(step=0, fill=None, label=None, count=4) -> Batch:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(count, 3, 16, 16, generator=generator)
    labels = (images[:, 0] > 0).to(torch.uint8)
    if fill is not None:
        images[0, 0, 0, 0] = fill
    if label is not None:
        labels[:] = label
    return Batch(step, images, labels, tuple(f"p{index}" for index in range(count)))


def tensors_of(model) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def test_a_step_updates_the_weights_and_returns_loss_rate_and_gradient_norm():
    run = stepper()
    before = tensors_of(run.state.model)

    result = run.step(batch())

    assert result.loss > 0
    assert result.lr == 1e-2
    assert result.gradient > 0
    assert not result.skipped
    assert run.state.progress.step == 1
    assert not all(map(torch.equal, before, tensors_of(run.state.model)))


def test_a_batch_without_labels_changes_nothing():
    run = stepper()
    before = tensors_of(run.state.model)

    result = run.step(batch(label=255))

    assert result.skipped == "no pixel of the batch has a label"
    assert all(map(torch.equal, before, tensors_of(run.state.model)))
    assert run.state.progress.step == 1


def test_a_loss_that_is_not_finite_ends_the_run_with_step_and_names():
    with pytest.raises(TrainingError, match=r"the loss is nan at step 3, on p0, p1, p2, p3; nothing was overwritten"):
        stepper().step(batch(3, fill=float("nan")))


def test_a_step_that_is_not_finite_can_be_skipped_without_a_trace():
    run = stepper(nonfinite="skip")
    before = tensors_of(run.state.model)

    result = run.step(batch(fill=float("inf")))

    assert result.skipped.startswith("the loss is")
    assert all(map(torch.equal, before, tensors_of(run.state.model)))
    assert not run.step(batch(1)).skipped


def test_too_many_consecutive_skipped_steps_end_the_run():
    run = stepper(nonfinite="skip")
    for step in range(MOST_SKIPPED):
        run.step(batch(step, fill=float("nan")))

    with pytest.raises(TrainingError, match=rf"{MOST_SKIPPED + 1} consecutive steps were skipped, the last at step 10"):
        run.step(batch(10, fill=float("nan")))


def test_a_good_step_resets_the_count_of_skipped_ones():
    run = stepper(nonfinite="skip")
    for step in range(3 * MOST_SKIPPED):
        run.step(batch(step, fill=float("nan") if step % 2 else None))

    assert run.state.progress.step == 3 * MOST_SKIPPED


def test_clipping_bounds_the_gradient_but_the_reported_norm_is_that_before():
    free, clipped = stepper(), stepper(clip_norm=1e-3)

    norms = [run.step(batch()).gradient for run in (free, clipped)]

    assert norms[0] == norms[1] > 1e-3
    norm = nn.utils.get_total_norm([value.grad for value in clipped.state.model.parameters()])
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_parts_of_a_batch_give_the_gradient_of_the_whole_where_no_batch_norm_sees_them():
    gradients = []
    for parts in (1, 2, 4):
        run = stepper(accumulate=parts)
        run.state.model.train = partial(nn.Module.train, run.state.model, False)
        run.step(batch())
        gradients.append([value.grad.clone() for value in run.state.model.parameters()])

    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], gradients[2])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_what_full_precision_learns(precision):
    losses = {kind: [] for kind in ("fp32", precision)}
    for kind, values in losses.items():
        run = stepper(precision=kind)
        values.extend(run.step(batch(step)).loss for step in range(20))

    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.03)
    assert losses[precision][-1] < losses[precision][0]


def test_an_overflow_in_fp16_halves_the_scale_and_skips_the_step():
    run = stepper(precision="fp16")
    run.state.scaler._lazy_init_scale_growth_tracker(torch.device("cpu"))
    run.state.scaler.update(2.0**40)

    result = run.step(batch())

    assert "overflows in fp16" in result.skipped
    assert run.state.scaler.get_scale() == 2.0**39

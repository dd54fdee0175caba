"""Parameters and multiply-adds, compared with counts by hand and with the paper."""

import pytest
from torch import Tensor, nn

from cgrseg.benchmarking.complexity import complexity
from cgrseg.config import ModelConfig
from cgrseg.machine import forget_peak, peak_memory
from cgrseg.model import build_model

MIB = 1 << 20


class Small(nn.Module):
    """A convolution with a bias, one without, a linear layer, and a product between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 1, groups=2, bias=False)
        self.last = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x)).flatten(2)
        return self.last(x @ x.transpose(1, 2))


def test_complexity_is_what_counting_by_hand_gives():
    pixels = 6 * 8

    cost = complexity(Small, (6, 8))

    first, second, product, last = pixels * 4 * 27, pixels * 4 * 2, 4 * pixels * 4, 4 * 4 * 5
    assert cost.macs == first + second + product + last
    assert cost.layer_macs == first + pixels * 4 + second + last + 4 * 5
    assert cost.parameters == 4 * 27 + 4 + 4 * 2 + 4 * 5 + 5


def test_a_layer_counts_each_time_it_is_used():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    assert complexity(Twice, (4, 4)).layer_macs == 2 * 16 * 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "every", "in_layers"),
    [("t", 4.53e9, 4.0e9), ("b", 8.59e9, 7.6e9), ("l", 16.12e9, 14.9e9), ("lite", 3.82e9, 3.74e9)],
)
def test_the_sizes_cost_what_the_paper_and_the_table_of_sizes_say(size, every, in_layers):
    cost = complexity(lambda: build_model(ModelConfig(size=size, classes=150)), (512, 512))

    assert cost.macs == pytest.approx(every, rel=0.002)
    assert cost.layer_macs == pytest.approx(in_layers, rel=0.015)


def test_counting_takes_no_memory_for_weights_or_images():
    held = forget_peak()

    complexity(lambda: nn.Conv2d(3, 10_000, 64), (2048, 2048))

    assert peak_memory() - held < 200 * MIB

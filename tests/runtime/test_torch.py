import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from cgrseg.errors import CGRSegError
from cgrseg.runtime import TorchEngine, open_engine, require_device


class Halves(nn.Module):
    """Half of the image's channels, at an eighth of its size; in training it would be something else."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return image[..., ::8, ::8] / 2


def test_an_engine_takes_and_gives_numpy_arrays_and_runs_in_eval_mode():
    images = np.random.default_rng(0).standard_normal((2, 3, 16, 24)).astype(np.float32)

    logits = open_engine(Halves().train(), engine="torch")(images)

    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, images[..., ::8, ::8] / 2)


def test_threads_are_set_when_asked_for():
    before = torch.get_num_threads()
    try:
        TorchEngine(Halves(), threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gpu", "no device 'gpu'; use 'cpu', 'cuda' or one of several"),
        ("cuda:x", "no device 'cuda:x'"),
        ("cuda:99", "device 'cuda:99' is not there: PyTorch sees "),
    ],
)
def test_a_device_that_is_not_there_is_one_clear_sentence(name, sentence):
    with pytest.raises(CGRSegError, match=sentence):
        require_device(name)


@pytest.mark.slow
def test_an_engine_that_does_not_exist_lists_those_that_do():
    program = "from torch import nn; from cgrseg.runtime import open_engine; open_engine(nn.Identity(), engine='trt')"

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert result.stderr.endswith("CGRSegError: no engine 'trt'; the engines are auto, torch, onnx, openvino\n")

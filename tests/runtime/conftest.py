from pathlib import Path

import numpy as np
import pytest
import torch
from support.reference import fill_lite
from support.tiny import few_blocks

from cgrseg.classes import named
from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.runtime import graph_of
from cgrseg.weights import WeightsInfo, open_weights, save_weights

CLASSES = named(("a", "b", "c", "d", "e"))


@pytest.fixture(scope="module", autouse=True)
def _few_blocks():
    with few_blocks():
        yield


@pytest.fixture(scope="session", params=["sum", "mean", "lite"])
def small_weights(request, tmp_path_factory) -> Path:
    """A weights file of the smallest network (its attention by sums or means) or of size lite, far from its start."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    with few_blocks():
        if request.param == "lite":
            config = ModelConfig(size="lite", classes=5)
            save_weights(path, fill_lite(build_model(config)), WeightsInfo(model=config, classes=CLASSES))
            return path
        torch.manual_seed(0)
        config = ModelConfig(size="s0", classes=5, layer_scale=0.1, rcm_scale=0.1, talk_bias=request.param)
        model = build_model(config)
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_var", "norm.weight")):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "table", "bias")):
                tensor.normal_(std=0.1)
        save_weights(path, model, WeightsInfo(model=config, classes=CLASSES))
        return path


@pytest.fixture(scope="session")
def small_graph(small_weights) -> Path:
    """The same file, its graph in the cache."""
    with few_blocks():
        graph_of(open_weights(small_weights)[0])
    return small_weights


@pytest.fixture(scope="session")
def sizes() -> list[np.ndarray]:
    """Prepared images: of one and of several, small, large, and of sides that are no multiple of anything."""
    random = np.random.default_rng(0)
    shapes = ((1, 3, 64, 96), (2, 3, 77, 41), (1, 3, 300, 533), (3, 3, 8, 8))
    return [random.standard_normal(shape).astype(np.float32) for shape in shapes]

"""The baselines compute correct label maps, and are what their names say."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from cgrseg.benchmarking.baselines import (
    ALL_QUERIES,
    BASELINES,
    SEGFORMERS,
    Plain,
    SegFormer,
    open_baseline,
    random_info,
    seeded,
)
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.errors import CGRSegError, MissingExtra
from cgrseg.labelmap import label_map
from cgrseg.model import attention

SMALL = InferenceConfig(short_px=64, long_px=128)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 75, 3), dtype=np.uint8)


def stages(baseline, image):
    prepared = baseline.prepare(image)
    logits = baseline.network(prepared)
    return prepared, logits, baseline.label(logits, image.shape[:2])


def test_plain_pads_what_the_network_takes_to_whole_blocks(image):
    plain = open_baseline("plain", ModelConfig(size="s0", classes=7), SMALL)

    prepared, logits, labels = stages(plain, image)

    assert prepared.shape == (3, 64, 128)
    assert (prepared[:, :, 100:] == 0).all()
    assert logits.shape == (7, 8, 16)
    assert labels.shape == (48, 75)
    assert labels.dtype == np.uint8


def test_plain_labels_are_the_exact_ones_where_it_resizes_once():
    logits = np.random.default_rng(0).standard_normal((5, 8, 16), dtype=np.float32)
    plain = open_baseline("plain", ModelConfig(size="s0", classes=5), SMALL)

    assert (plain.label(logits, (64, 128)) == label_map(logits, (64, 128))).all()


def test_plain_of_a_network_without_attention_is_that_network(image):
    plain = open_baseline("plain", ModelConfig(size="lite", classes=5), SMALL)

    prepared, logits, labels = stages(plain, image)

    with torch.inference_mode():
        expected = seeded(ModelConfig(size="lite", classes=5))(torch.from_numpy(prepared)[None])[0].numpy()
    assert (logits == expected).all()
    assert labels.shape == (48, 75)
    assert plain.design == "CGRSeg-Lite"


def test_plain_has_the_attention_bias_of_the_authors():
    plain = open_baseline("plain", ModelConfig(size="s0", classes=5), SMALL)

    assert plain.info.model == ModelConfig(size="s0", classes=5, position="official")
    assert plain.model.position == "official"


def test_plain_computes_all_queries_at_once_and_leaves_other_networks_as_they_are(image):
    config = ModelConfig(size="s0", classes=5, position="official")
    plain, other = open_baseline("plain", config, SMALL), seeded(config)
    before = attention.BLOCK

    prepared, logits, _ = stages(plain, image)

    def blocks(model):
        return {module.query_block for module in model.modules() if hasattr(module, "query_block")}

    assert before == attention.BLOCK
    assert (blocks(plain.model), blocks(other)) == ({ALL_QUERIES}, {before})
    with torch.inference_mode():
        expected = other(torch.from_numpy(prepared)[None])[0]
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone():
    config = ModelConfig(size="s0", classes=5)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)

    one, two = (seeded(config).state_dict() for _ in range(2))

    assert all(torch.equal(one[key], two[key]) for key in one)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.slow
def test_segformer_labels_are_the_upsampled_argmax(image):
    pytest.importorskip("transformers", reason="needs the extra [bench]")
    plan = replace(SEGFORMERS["segformer-b0"], widths=(8, 16, 40, 64), depths=(1, 1, 1, 1), decoder=8)
    segformer = SegFormer(random_info(ModelConfig(classes=7), SMALL), plan)

    prepared, logits, labels = stages(segformer, image)

    assert prepared.shape == (3, 64, 100)
    assert logits.shape == (7, 16, 25)
    assert (labels == label_map(logits, (48, 75))).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"), [("segformer-b0", 3.8), ("segformer-b1", 13.7), ("segformer-b2", 27.5)]
)
def test_each_segformer_has_the_size_of_its_paper(name, parameters):
    pytest.importorskip("transformers", reason="needs the extra [bench]")
    with torch.device("meta"):
        segformer = open_baseline(name, ModelConfig(classes=150), SMALL)

    assert sum(parameter.numel() for parameter in segformer.model.parameters()) / 1e6 == pytest.approx(
        parameters, abs=0.05
    )


def test_a_baseline_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(MissingExtra, match=r"transformers is not installed; run: pip install 'cgrseg\[bench\]'"):
        open_baseline("segformer-b0", ModelConfig(), SMALL)


def test_an_unknown_baseline_is_answered_with_the_known_ones():
    with pytest.raises(CGRSegError, match="no baseline is called 'deeplab'; choose from plain, segformer-b0"):
        open_baseline("deeplab", ModelConfig(), SMALL)
    assert isinstance(open_baseline(BASELINES[0], ModelConfig(size="s0", classes=2), SMALL), Plain)

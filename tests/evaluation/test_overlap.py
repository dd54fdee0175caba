"""What is counted does not depend on how many images are worked on at a time."""

import threading
import weakref

import numpy as np
import pytest
import torch
from support.colour_engine import ColourEngine, colour_info

from cgrseg.config import ModelConfig
from cgrseg.errors import ImageError
from cgrseg.evaluation import evaluate
from cgrseg.model import build_model
from cgrseg.predictor import Segmenter
from cgrseg.predictor.pipeline import AHEAD
from cgrseg.predictor.protocols import choose_protocol
from cgrseg.runtime import TorchEngine


@pytest.fixture(params=["whole", "sliding", "multi-scale"])
def segmenter(request) -> Segmenter:
    info = colour_info()
    return Segmenter(ColourEngine(), info, protocol=choose_protocol(request.param, info, paper_exact=True))


@pytest.mark.parametrize(("workers", "batch"), [(1, 1), (2, 1), (4, 1), (0, 3), (1, 4), (2, 100)])
def test_counts_are_the_same_however_they_are_made(segmenter, drawn, workers, batch):
    measures = {"boundary": True, "calibration": True}
    one_by_one = evaluate(segmenter, drawn(11), workers=0, **measures)

    evaluation = evaluate(segmenter, drawn(11), workers=workers, batch=batch, **measures)

    assert (evaluation.matrix == one_by_one.matrix).all()
    assert (evaluation.areas.hits == one_by_one.areas.hits).all()
    assert (evaluation.areas.unions == one_by_one.areas.unions).all()
    assert evaluation.boundary == one_by_one.boundary
    assert (evaluation.reliability.pixels == one_by_one.reliability.pixels).all()
    assert (evaluation.reliability.right == one_by_one.reliability.right).all()
    assert (evaluation.reliability.confidence == one_by_one.reliability.confidence).all()
    assert evaluation.as_tree() == one_by_one.as_tree()


@pytest.mark.slow
def test_counts_of_a_network_are_the_same_for_any_number_of_workers(drawn):
    torch.manual_seed(0)
    network = build_model(ModelConfig(size="s0", classes=3, layer_scale=0.1, rcm_scale=0.1)).eval()
    segmenter = Segmenter(TorchEngine(network), colour_info())

    trees = [evaluate(segmenter, drawn(6), workers=workers, calibration=True).as_tree() for workers in (0, 1, 2, 4)]

    assert trees[1:] == trees[:1] * 3
    assert 0 < trees[0]["miou"] < 1


def test_images_of_one_size_share_a_call_and_keep_their_places(drawn):
    engine = ColourEngine()

    evaluation = evaluate(Segmenter(engine, colour_info()), drawn(8), batch=4)

    assert [call[0] for call in engine.seen] == [2, 1, 1, 2, 1, 1]
    assert evaluation.as_tree() == evaluate(Segmenter(ColourEngine(), colour_info()), drawn(8)).as_tree()


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_an_image_that_cannot_be_read_stops_the_evaluation_by_its_name(drawn, workers):
    progress, before = [], threading.enumerate()
    segmenter = Segmenter(ColourEngine(), colour_info())

    with pytest.raises(ImageError, match=r"images/5\.png is damaged"):
        evaluate(segmenter, drawn(9, broken=5), lambda done, total: progress.append((done, total)), workers=workers)

    assert progress == [(done, 9) for done in range(1, 6)]
    assert not [thread for thread in threading.enumerate() if thread not in before]


@pytest.mark.parametrize(("workers", "batch"), [(0, 1), (1, 1), (3, 1), (1, 3)])
def test_few_images_are_in_memory_however_many_there_are(drawn, workers, batch):
    def most_alive(images: int) -> int:
        seen, most = [], 0

        def watch(array: np.ndarray) -> None:
            nonlocal most
            seen.append(weakref.ref(array))
            most = max(most, sum(each() is not None for each in list(seen)))

        evaluate(Segmenter(ColourEngine(), colour_info()), drawn(images, watch=watch), workers=workers, batch=batch)
        return most

    bound = (AHEAD + 2 * (workers - 1)) * batch if workers else 2 * batch

    assert most_alive(60) <= bound

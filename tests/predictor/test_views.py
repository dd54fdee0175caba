"""Each protocol gives what it gives when it is carried out literally at full size."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.colour_engine import ColourEngine, colour_info, flag
from support.full_size import RandomEngine, probabilities

from cgrseg.classes import named
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.predictor import Segmenter
from cgrseg.predictor.protocols import FACTORS, Protocol
from cgrseg.predictor.views import EnsembleLogits, infer, plan_views, prepare_views
from cgrseg.types import Size
from cgrseg.weights import WeightsInfo

MULTI_SCALE = Protocol(factors=FACTORS, mirrored=True)
SLIDING = Protocol(window_px=(40, 56), stride_px=(26, 37))
SIZES = [(64, 96), (37, 90), (150, 61), (203, 301)]


def random_info(short_px: int = 72) -> WeightsInfo:
    return WeightsInfo(
        model=ModelConfig(classes=5), classes=named(tuple("abcde")), inference=InferenceConfig(short_px=short_px)
    )


def photo(size: Size, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def see(
    engine, images: list[np.ndarray], info: WeightsInfo, protocol: Protocol, batch: int = 1
) -> list[EnsembleLogits]:
    return infer(engine, [prepare_views(image, info, protocol) for image in images], batch=batch)


def maps_of(logits: EnsembleLogits, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    labels, source = logits.maps(threads)
    return labels, source.confidence()


def assert_agrees(result: tuple[np.ndarray, np.ndarray], expected: torch.Tensor) -> None:
    """The labels win at full size, too, but for rounding; the confidence is the mean probability."""
    labels, confidence = result
    of_labels = expected.gather(0, torch.from_numpy(labels.astype(np.int64))[None])[0]
    assert (expected.amax(dim=0) - of_labels).max() < 5e-5
    assert np.abs(confidence - of_labels.numpy()).max() < 5e-5
    assert (labels == expected.argmax(dim=0).numpy()).mean() > 0.999


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("windows", [None, ((40, 56), (26, 37)), ((64, 64), (64, 64)), ((600, 32), (1, 32))])
def test_two_steps_are_those_of_the_authors_code(size, windows):
    image, info = photo(size), random_info()
    window, stride = windows or (None, None)
    protocol = Protocol(window_px=window, stride_px=stride, paper_exact=True)

    logits = see(RandomEngine(), [image], info, protocol)[0]

    assert_agrees(maps_of(logits), probabilities(RandomEngine(), image, info, window=window, stride=stride))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("windows", [(None, None), ((40, 56), (26, 37))])
def test_scales_and_flips_average_probabilities(size, windows):
    image, info = photo(size), random_info()
    window, stride = windows
    protocol = Protocol(factors=FACTORS, mirrored=True, window_px=window, stride_px=stride, paper_exact=True)
    literally = {"factors": FACTORS, "flips": (False, True), "window": window, "stride": stride}

    logits = see(RandomEngine(), [image], info, protocol)[0]

    assert len(logits.views) == 12
    assert_agrees(maps_of(logits), probabilities(RandomEngine(), image, info, **literally))


@pytest.mark.parametrize("protocol", [MULTI_SCALE, SLIDING])
def test_where_every_size_is_a_multiple_of_32_and_the_images_own_one_step_is_two(protocol):
    image, info = photo((64, 128)), random_info(64)
    window, stride = ((32, 64), (16, 32)) if protocol is SLIDING else (None, None)
    protocol = Protocol(window_px=window, stride_px=stride, mirrored=protocol.mirrored)
    flips = (False, True) if protocol.mirrored else (False,)

    logits = see(RandomEngine(), [image], info, protocol)[0]

    expected = probabilities(RandomEngine(), image, info, flips=flips, window=window, stride=stride)
    assert_agrees(maps_of(logits), expected)


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1, 300), (300, 2)])
def test_one_whole_view_in_one_step_is_the_plain_protocol(size):
    image, info = photo(size), random_info()
    once = replace(prepare_views(image, info, Protocol()), is_plain=False)

    labels, confidence = maps_of(infer(RandomEngine(), [once])[0])

    plain = Segmenter(RandomEngine(), info)(image)
    assert np.abs(confidence - plain.confidence).max() < 1e-5
    assert (labels == plain.labels).mean() > 0.999


@pytest.mark.parametrize("protocol", [MULTI_SCALE, SLIDING, Protocol(paper_exact=True), Protocol(mirrored=True)])
@pytest.mark.parametrize("size", [(64, 64), (61, 250), (300, 70)])
def test_flips_and_windows_leave_things_where_they_are(protocol, size):
    segmenter = Segmenter(ColourEngine(), colour_info(), protocol=protocol)

    labels = segmenter(flag(*size)).labels

    slack = -(-16 * size[1] // 64)  # a grid point at half the size, seen in the photo
    assert labels.shape == size
    assert (labels[:, : size[1] // 2 - slack] == 0).all()
    assert (labels[:, size[1] // 2 + slack :] == 2).all()


def test_windows_have_one_size_and_the_last_ends_where_the_image_does():
    engine = RandomEngine()

    see(engine, [photo((72, 130))], random_info(), SLIDING)

    view = plan_views((72, 130), random_info(), SLIDING)[0]
    assert view.rows.starts == (0, 26, 32)
    assert view.columns.starts == (0, 37, 74)
    assert engine.calls == [(1, 3, 40, 56)] * 9


def test_inputs_of_one_size_share_a_call_where_a_batch_is_asked_for():
    engine, images = RandomEngine(), [photo((72, 130), seed=seed) for seed in range(2)]

    together = see(engine, images, random_info(), SLIDING, batch=4)

    alone = [see(RandomEngine(), [image], random_info(), SLIDING)[0] for image in images]
    assert sorted(call[0] for call in engine.calls) == [2, 4, 4, 4, 4]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.views[0].logits, other.views[0].logits, atol=1e-5)


def test_threads_do_not_change_a_map():
    logits = see(RandomEngine(), [photo((150, 170))], random_info(), MULTI_SCALE)[0]

    for one, other in zip(maps_of(logits), maps_of(logits, threads=3), strict=True):
        assert (one == other).all()


def test_a_temperature_changes_confidence_and_no_label():
    logits = see(RandomEngine(), [photo((50, 70))], random_info(), MULTI_SCALE)[0]

    cool, warm = maps_of(logits), maps_of(replace(logits, temperature=3.0))

    assert (cool[0] == warm[0]).all()
    assert warm[1].mean() < cool[1].mean() - 0.05


def test_all_classes_are_held_for_a_tile_of_pixels_only():
    rng = np.random.default_rng(0)
    info = WeightsInfo(model=ModelConfig(classes=150), classes=named(tuple(map(str, range(150)))))

    class Engine:
        name, precision, metadata = "constant", "fp32", {}

        def __call__(self, images):
            return rng.random((1, 150, -(-images.shape[2] // 8), -(-images.shape[3] // 8)), np.float32)

    logits = see(Engine(), [np.zeros((512, 1024, 3), np.uint8)], info, MULTI_SCALE)[0]

    tracemalloc.start()
    labels, _ = maps_of(logits, threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert labels.shape == (512, 1024)
    assert peak < 4 * 150 * 512 * 1024 / 10  # bytes of all classes at full size

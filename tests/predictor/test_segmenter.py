"""From a path, a PIL image or an array to a result that can be looked at and saved."""

import copy
import json
import pickle
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from support.colour_engine import CLASSES, ColourEngine, colour_info, flag

from cgrseg.errors import CGRSegError, ImageError
from cgrseg.predictor import Failure, Segmentation, Segmenter, load
from cgrseg.predictor import segmenter as loading
from cgrseg.predictor.pipeline import AHEAD
from cgrseg.predictor.views import ImageLogits, KnownConfidence


@pytest.fixture
def segmenter():
    return Segmenter(ColourEngine(), colour_info(), weights="colours")


@pytest.fixture
def write(tmp_path):
    def write(name: str, image: np.ndarray | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(flag(64, 64) if image is None else image).save(path)
        return path

    return write


def test_a_path_a_pil_image_and_an_array_give_the_same_labels(segmenter, write):
    path = write("photo.png")

    results = [segmenter(path), segmenter(str(path)), segmenter(Pillow.open(path)), segmenter(flag(64, 64))]

    for result in results:
        assert (result.labels[:, :32] == 0).all()
        assert (result.labels[:, 32:] == 2).all()
        assert (result.image == flag(64, 64)).all()
    assert [result.name for result in results] == ["photo", "photo", "picture", "picture"]


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (Pillow.new("L", (9, 8), 77), (77, 77, 77)),
        (Pillow.new("RGBA", (9, 8), (255, 0, 0, 0)), (255, 255, 255)),
        (Pillow.new("P", (9, 8), 3), (0, 0, 0)),
        (Pillow.new("1", (9, 8), 1), (255, 255, 255)),
    ],
)
def test_pil_images_of_any_8_bit_mode_become_rgb(segmenter, image, shown):
    if image.mode == "P":
        image.putpalette(bytes(768))

    result = segmenter(image)

    assert result.labels.shape == (8, 9)
    assert (result.image == shown).all()


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (np.zeros((4, 5, 3), np.float32), "4 x 5 x 3 float32"),
        (np.zeros((4, 5), np.uint8), "4 x 5 uint8"),
        (np.zeros((4, 5, 4), np.uint8), "4 x 5 x 4 uint8"),
        (np.zeros((0, 5, 3), np.uint8), "0 x 5 x 3 uint8"),
        (np.zeros((2, 4, 5, 3), np.uint8), "2 x 4 x 5 x 3 uint8"),
    ],
)
def test_an_array_that_is_no_image_is_told_what_is_needed(segmenter, image, shape):
    with pytest.raises(ImageError, match=f"an array of {shape} is not an image; an RGB array of h x w x 3 uint8"):
        segmenter(image)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_a_pil_image_beyond_8_bits_looks_like_its_file(segmenter, mode, tmp_path):
    tones = np.linspace(0, 65535, 64).astype(np.int32).reshape(8, 8)
    opened = Pillow.fromarray(tones.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    opened.save(tmp_path / "deep.tif")

    image = segmenter(opened).image

    assert opened.mode == mode
    assert image.max() > 250
    assert np.array_equal(image, segmenter(tmp_path / "deep.tif").image)


def test_areas_are_shares_of_the_image_and_the_largest_comes_first(segmenter):
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 2] = 200
    image[:16] = (0, 200, 0)

    assert segmenter(image).areas() == {"blue": 0.75, "green": 0.25}


def test_the_overlay_has_the_images_size(segmenter):
    result = segmenter(flag(50, 70))

    assert result.overlay().shape == (50, 70, 3)
    assert not (result.overlay() == result.image).all()


def test_saving_writes_a_palette_png_an_overlay_and_a_summary(segmenter, write, tmp_path):
    result = segmenter(write("photo.png"))

    path = result.save(tmp_path / "out" / "deep")

    assert path == tmp_path / "out" / "deep" / "photo.png"
    assert sorted(file.name for file in path.parent.iterdir()) == ["photo.json", "photo.png", "photo_overlay.jpg"]
    with Pillow.open(path) as labels:
        assert labels.mode == "P"
        assert (np.array(labels) == result.labels).all()
        assert labels.getpalette()[:9] == [255, 0, 0, 0, 255, 0, 0, 0, 255]
    with Pillow.open(path.with_name("photo_overlay.jpg")) as overlay:
        assert min(overlay.size) > 64


def test_the_summary_says_what_is_where_and_how_sure(segmenter, write, tmp_path):
    path = write("photo.png")

    saved = segmenter(path).save(str(tmp_path / "out"))

    summary = json.loads(saved.with_suffix(".json").read_text(encoding="utf-8"))
    assert summary["confidence"] == pytest.approx(1, abs=0.05)
    assert summary | {"confidence": None} == {
        "name": "photo",
        "source": str(path),
        "weights": "colours",
        "height": 64,
        "width": 64,
        "confidence": None,
        "classes": [
            {"label": 0, "name": "red", "colour": [255, 0, 0], "pixels": 2048, "area": 0.5},
            {"label": 2, "name": "blue", "colour": [0, 0, 255], "pixels": 2048, "area": 0.5},
        ],
        "files": [".json", ".png", "_overlay.jpg"],
    }


def test_a_result_never_takes_the_place_of_its_image(segmenter, write):
    path = write("photo.png")
    before = path.read_bytes()

    with pytest.raises(ImageError, match=r"photo\.png is one of the images, and a result would replace it"):
        segmenter(path).save(path.parent)

    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_sentence(segmenter, tmp_path):
    (tmp_path / "out").write_text("a file")

    with pytest.raises(ImageError, match="cannot write results there"):
        segmenter(flag(8, 8)).save(tmp_path / "out")


def test_a_failed_write_leaves_no_half_files(segmenter, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)

    with pytest.raises(ImageError, match="No space left on device"):
        segmenter(flag(8, 8)).save(tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_stream_goes_through_a_folder_in_order_and_past_broken_files(segmenter, write, tmp_path):
    write("b.png")
    write("sub/c.jpg")
    (tmp_path / "a.jpg").write_bytes(b"no image")

    broken, *rest = segmenter.stream(tmp_path)

    assert isinstance(broken, Failure)
    assert broken.path == tmp_path / "a.jpg"
    assert isinstance(broken.error, ImageError)
    assert [(result.name, result.source) for result in rest] == [
        ("b", tmp_path / "b.png"),
        ("sub/c", tmp_path / "sub" / "c.jpg"),
    ]


def test_a_stream_works_ahead_of_its_user_but_not_before_it_starts_nor_far(segmenter, write, tmp_path):
    for place in range(3 * AHEAD):
        write(f"{place:02}.png")
    stream = segmenter.stream(tmp_path)
    before = len(segmenter.engine.seen)
    seen = [len(segmenter.engine.seen) for _ in stream]

    assert before == 0
    assert all(count < fetched + AHEAD for fetched, count in enumerate(seen, start=1))
    assert seen[-1] == 3 * AHEAD


def test_a_stream_keeps_few_images_in_memory(segmenter, write, tmp_path):
    for place in range(3 * AHEAD):
        write(f"{place:02}.png")
    images, most = [], 0

    for result in segmenter.stream(tmp_path):
        images.append(weakref.ref(result.image))
        most = max(most, sum(image() is not None for image in images))

    assert most <= 2  # the result of this round and of the one before


def test_a_stream_left_early_leaves_no_threads(segmenter, write, tmp_path):
    for place in range(3 * AHEAD):
        write(f"{place:02}.png")
    before = set(threading.enumerate())

    stream = segmenter.stream(tmp_path)
    next(stream)
    stream.close()

    assert set(threading.enumerate()) == before
    assert len(segmenter.engine.seen) <= AHEAD


def test_what_is_no_mistake_of_the_users_ends_a_stream(write, tmp_path):
    class Broken(ColourEngine):
        def __call__(self, images):
            if self.seen:
                raise ZeroDivisionError
            return super().__call__(images)

    for name in ("a.png", "b.png", "c.png"):
        write(name)
    before = set(threading.enumerate())

    stream = Segmenter(Broken(), colour_info()).stream(tmp_path)

    assert isinstance(next(stream), Segmentation)
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert set(threading.enumerate()) == before


def test_a_mistake_that_the_engine_tells_is_a_failure_of_its_image(write, tmp_path):
    class Choosy(ColourEngine):
        def __call__(self, images):
            if images.shape[2] > 100:
                raise CGRSegError("too tall")
            return super().__call__(images)

    for name, height in (("a.png", 64), ("b.png", 128), ("c.png", 64)):
        write(name, flag(height, 64))

    outcomes = list(Segmenter(Choosy(), colour_info(long_px=200)).stream(tmp_path))

    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False]


def test_the_engine_is_asked_by_one_thread_at_a_time(write, tmp_path):
    class Alone(ColourEngine):
        asked = threading.Lock()

        def __call__(self, images):
            assert self.asked.acquire(blocking=False)
            threading.Event().wait(0.005)
            self.asked.release()
            return super().__call__(images)

    for place in range(5):
        write(f"{place}.png")
    segmenter = Segmenter(Alone(), colour_info())

    for result in segmenter.stream(tmp_path):
        assert (segmenter(result.image).labels == result.labels).all()


def test_a_stream_of_nothing_says_so(segmenter, tmp_path):
    with pytest.raises(ImageError, match="holds no images"):
        next(segmenter.stream(tmp_path))


def test_results_with_dots_in_their_names_keep_them(segmenter, write, tmp_path):
    assert segmenter(write("photo.v2.jpg")).save(tmp_path / "out").name == "photo.v2.png"


def test_the_model_behind_another_engine_is_refused_with_the_way_out(segmenter):
    with pytest.raises(CGRSegError, match="engine 'colour' holds no PyTorch module; load with engine='torch'"):
        _ = segmenter.model


def test_a_loaded_segmenter_has_the_module_and_the_classes(monkeypatch):
    from torch import nn

    module = nn.Conv2d(3, 3, 1)
    monkeypatch.setattr(loading, "open_weights", lambda source, classes: (module, colour_info()))

    segmenter = load("weights.safetensors", engine="torch")

    assert segmenter.model is module
    assert segmenter.classes == CLASSES
    assert segmenter.weights == "weights.safetensors"


def test_confidence_is_computed_on_first_use_and_the_logits_are_let_go(segmenter):
    result = segmenter(flag(64, 64))
    logits = weakref.ref(result.confidence_source.logits)

    confidence = result.confidence

    assert confidence.shape == (64, 64)
    assert confidence.max() <= 1
    assert result.confidence is confidence
    assert logits() is None


def test_a_result_can_be_made_of_arrays(segmenter):
    confidence = np.full((4, 5), 0.25, np.float32)

    result = Segmentation(
        image=flag(4, 5),
        labels=flag(4, 5)[..., 0],
        confidence_source=KnownConfidence(confidence),
        classes=CLASSES,
        name="own",
    )

    assert result.confidence is confidence


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_results_and_segmenters_can_be_copied_and_sent_to_other_processes(again, segmenter):
    fresh, used = segmenter(flag(64, 64)), segmenter(flag(64, 64))
    confidence = used.confidence

    copies = again(fresh), again(used), again(segmenter)(flag(64, 64))

    assert isinstance(fresh.confidence_source, ImageLogits)
    for each in copies:
        assert (each.labels == used.labels).all()
        assert (each.confidence == confidence).all()


def test_threads_do_not_change_a_label_map(segmenter):
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)

    together = Segmenter(ColourEngine(), colour_info(), threads=3)

    assert (together(image).labels == segmenter(image).labels).all()
    assert (together(image).confidence == segmenter(image).confidence).all()


def test_a_result_prints_short(segmenter):
    assert len(repr(segmenter(flag(64, 64)))) < 100


def test_sixteen_bit_label_maps_are_saved_too(tmp_path):
    from cgrseg.classes import named

    labels = np.full((4, 5), 299, np.uint16)
    result = Segmentation(
        image=np.zeros((4, 5, 3), np.uint8),
        labels=labels,
        confidence_source=KnownConfidence(np.ones((4, 5), np.float32)),
        classes=named(tuple(map(str, range(300)))),
        name="many",
    )

    path = result.save(tmp_path)

    with Pillow.open(path) as saved:
        assert (np.array(saved) == 299).all()
    assert result.areas() == {"299": 1.0}


def test_every_odd_image_gets_a_label_map_or_one_sentence(segmenter, shared_data, tmp_path):
    results = list(segmenter.stream(shared_data / "odd_images"))

    assert len(results) >= 17
    for result in results:
        if isinstance(result, Failure):
            assert "\n" not in str(result.error)
        else:
            assert result.labels.shape == result.image.shape[:2]
            assert result.save(tmp_path).is_file()


def test_an_image_too_long_for_jpeg_gets_a_png_overlay(segmenter, tmp_path):
    path = segmenter(np.zeros((1, 66_000, 3), np.uint8)).save(tmp_path)

    assert path.with_name("picture_overlay.png").is_file()

import pytest
from support.colour_engine import colour_info

from cgrseg.classes import named
from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, Recipe
from cgrseg.errors import CGRSegError
from cgrseg.predictor.protocols import Protocol, choose_protocol
from cgrseg.weights import WeightsInfo

INFERENCE = InferenceConfig(short_px=512, long_px=2048)


def test_windows_are_as_large_as_the_largest_crop_in_training_and_overlap_by_a_third():
    recipe = Recipe(data=DataConfig(crops_px=((480, 608), (384, 480))))
    info = WeightsInfo(model=ModelConfig(classes=2), classes=named(("a", "b")), recipe=recipe)

    protocol = choose_protocol("sliding", info)

    assert (protocol.window_px, protocol.stride_px) == ((480, 608), (320, 405))


def test_windows_of_foreign_weights_are_as_large_as_their_attention_tables():
    protocol = choose_protocol("sliding", colour_info())

    assert (protocol.window_px, protocol.stride_px) == ((512, 512), (341, 341))


@pytest.mark.parametrize(
    ("protocol", "line"),
    [
        (choose_protocol("whole", colour_info()), "whole image, short side 512, long side at most 2048"),
        (
            choose_protocol("sliding", colour_info(), paper_exact=True),
            "sliding windows 512 x 512, stride 341 x 341, short side 512, long side at most 2048; two-step resize",
        ),
        (
            choose_protocol("multi-scale", colour_info()),
            (
                "whole image at 0.5, 0.75, 1, 1.25, 1.5, 1.75 times short side 512, long side at most 2048, "
                "each mirrored, too"
            ),
        ),
    ],
)
def test_a_protocol_says_what_is_done_in_a_line(protocol, line):
    assert protocol.describe(INFERENCE) == line


def test_only_the_whole_image_in_one_step_is_plain():
    assert choose_protocol("whole", colour_info()).is_plain
    assert not choose_protocol("whole", colour_info(), paper_exact=True).is_plain
    assert not choose_protocol("sliding", colour_info()).is_plain


def test_an_unknown_name_is_a_mistake_that_tells_the_nearest():
    with pytest.raises(CGRSegError, match="no protocol 'slidng'; did you mean 'sliding'"):
        choose_protocol("slidng", colour_info())
    with pytest.raises(CGRSegError, match="there are whole, sliding, multi-scale"):
        choose_protocol("x", colour_info())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_px": (64, 64)}, "belong together"),
        ({"window_px": (64, 64), "stride_px": (64, 65)}, r"windows of \(64, 64\) every \(64, 65\) pixels leave gaps"),
        ({"window_px": (64, 64), "stride_px": (0, 64)}, "use 1 to the window"),
        ({"factors": ()}, "give no size"),
        ({"factors": (1.0, -0.5)}, "give no size"),
    ],
)
def test_settings_that_would_leave_pixels_unseen_are_refused(settings, message):
    with pytest.raises(CGRSegError, match=message):
        Protocol(**settings)

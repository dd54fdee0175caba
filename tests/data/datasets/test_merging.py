"""New classes made of old ones."""

import numpy as np
import pytest

from cgrseg.classes import ClassTable, named
from cgrseg.data.datasets.labelled import Layout, lookup_of
from cgrseg.data.datasets.merging import merge_classes
from cgrseg.errors import DatasetError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def layout():
    """Values 1, 2 and 3 are road, car and bus; 0 and 9 are none."""
    return Layout(ClassTable(("road", "car", "bus"), (RED, GREEN, BLUE)), lookup_of((1, 2, 3), (0, 9)), ())


def labels_of(layout: Layout) -> dict[int, int]:
    """The label of each value that has one."""
    return {int(value): int(layout.lookup[value]) for value in np.flatnonzero(layout.lookup != 254)}


def test_classes_are_joined_renamed_and_put_in_order(layout):
    merged = merge_classes(layout, {"vehicle": ("bus", "car"), "street": ("road",)})

    assert merged.classes == ClassTable(("vehicle", "street"), (BLUE, RED))
    assert labels_of(merged) == {0: 255, 1: 1, 2: 0, 3: 0, 9: 255}


def test_dropped_classes_get_no_label(layout):
    merged = merge_classes(layout, {"ignore": ("bus", "car"), "road": ("road",)})

    assert merged.classes.names == ("road",)
    assert labels_of(merged) == {0: 255, 1: 0, 2: 255, 3: 255, 9: 255}


def test_a_value_that_had_no_class_may_get_one(layout):
    merged = merge_classes(layout, {"road": (1,), "vehicle": ("car", "bus"), "parking": (9,)})

    assert labels_of(merged) == {0: 255, 1: 0, 2: 1, 3: 1, 9: 2}
    assert merged.classes.colours[2] == named(("a", "b", "c")).colours[2]


@pytest.mark.parametrize(
    "merge",
    [
        {"vehicle": ("bus", "car"), "street": ("road",)},
        {"vehicle": ("bus", "car"), "road": ("road",)},
        {"road": ("road", 9), "ignore": ("bus", "car")},
    ],
)
def test_classes_that_are_merged_already_stay(layout, merge):
    once = merge_classes(layout, merge)

    assert merge_classes(once, merge) is once


def test_swapping_two_names_is_no_merge_that_was_done_already(layout):
    merged = merge_classes(layout, {"road": ("bus",), "car": ("road",), "bus": ("car",)})

    assert labels_of(merged) == {0: 255, 1: 1, 2: 2, 3: 0, 9: 255}


def test_a_class_may_keep_its_name_and_take_another_value_in(layout):
    merged = merge_classes(layout, {"road": ("road", 9), "car": ("car",), "bus": ("bus",)})

    assert labels_of(merged) == {0: 255, 1: 0, 2: 1, 3: 2, 9: 0}


@pytest.mark.parametrize(
    ("merge", "sentence"),
    [
        ({"vehicle": ("car", "buss"), "road": ("road",)}, "the data set has no class 'buss'; did you mean 'bus'?"),
        ({"vehicle": ("tram",)}, "the data set has no class 'tram'; the classes are road, car, bus"),
        ({"road": ("bus",), "car": ("road",), "bus": ("carr",)}, "no class 'carr'; did you mean 'car'?"),
        ({"vehicle": ("car",)}, "merge leaves out road, bus; give each a new class, or list it under 'ignore'"),
        ({"a": ("car", "bus"), "b": ("road", "car")}, "merge: b: 'car' is listed twice"),
        ({"a": ("car", "bus"), "b": ("road", 2)}, "merge: b: 2 is listed twice"),
        (
            {"a": ("road", "car", "bus", 5)},
            "merge: 5 is not a value in the label files; quote the number if it is a class name",
        ),
        ({"a": ("road", "car", "bus", 10**6)}, "1000000 is not a value"),
        ({"a": ("road", "car", "bus", -1)}, "-1 is not a value"),
        ({"ignore": ("road", "car", "bus")}, "merge makes 0 classes; 1 to 254 are possible"),
    ],
)
def test_a_slip_is_one_sentence(layout, merge, sentence):
    with pytest.raises(DatasetError) as raised:
        merge_classes(layout, merge)

    assert sentence in str(raised.value)

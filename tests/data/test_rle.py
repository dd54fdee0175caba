"""Run-length encoding: both directions, and what COCO's own tools write."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cgrseg.data.rle import decode_counts, decode_mask, encode_counts, find_runs

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths column by column, beginning outside, counted one pixel at a time."""
    runs, is_inside = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != is_inside:
            runs.append(0)
            is_inside = not is_inside
        runs[-1] += 1
    return runs


@settings(deadline=None)
@given(arrays.arrays(bool, SHAPES))
def test_runs_give_back_the_mask_they_were_counted_from(mask):
    decoded = decode_mask(runs_of(mask), mask.shape)

    assert np.array_equal(decoded, mask)


def test_the_text_of_cocos_own_tools_is_read_and_written():
    mask = np.zeros((100, 12), bool)
    mask[10:70, 3:9] = True
    mask[20:40, 5] = False
    text = "f9l1X100^N\\Od0d0n00000R9"  # pycocotools 2.0.11, mask.encode

    assert decode_counts(text) == runs_of(mask)
    assert np.array_equal(decode_mask(text, (100, 12)), mask)
    assert find_runs(mask.astype(np.uint8)).mask(1) == {"size": [100, 12], "counts": text}


@settings(deadline=None)
@given(arrays.arrays(np.uint8, SHAPES, elements=st.integers(0, 3)))
def test_the_masks_of_all_classes_give_the_label_map_back(labels):
    runs = find_runs(labels)

    painted = np.full_like(labels, 255)
    for label in np.unique(labels).tolist():
        mask = runs.mask(label)
        assert mask["size"] == list(labels.shape)
        assert runs.counts(label).tolist() == runs_of(labels == label)
        painted[decode_mask(mask["counts"], labels.shape)] = label

    assert np.array_equal(painted, labels)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=12))
def test_counts_of_any_size_survive_cocos_text(counts):
    assert decode_counts(encode_counts(np.array(counts, np.int64))) == counts


def test_a_class_that_is_absent_is_one_run_outside():
    assert find_runs(np.zeros((2, 3), np.uint8)).counts(1).tolist() == [6]


@pytest.mark.parametrize("counts", [[1, 1], [4, -1], "", "2"])
def test_counts_that_do_not_fit_the_image_are_an_error(counts):
    with pytest.raises(ValueError, match="pixels long, but the image has 3"):
        decode_mask(counts, (1, 3))

"""What every data set has in common: mapped labels, checked values, shares and fingerprints."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from cgrseg.classes import named
from cgrseg.data.datasets.labelled import LabelledImages, Pair, lookup_of, spans
from cgrseg.errors import DatasetError


@pytest.fixture
def dataset(tmp_path):
    """Two images of 2 x 3; classes 10, 20 and 30 in the files, 0 = no label."""
    maps = ([[10, 10, 20], [0, 0, 20]], [[30, 30, 30], [10, 0, 0]])
    pairs = []
    for place, values in enumerate(maps):
        pair = Pair(f"p{place}", tmp_path / f"p{place}.png", tmp_path / f"p{place}_labels.png")
        Image.fromarray(np.full((2, 3, 3), place, np.uint8)).save(pair.image)
        Image.fromarray(np.array(values, np.uint8)).save(pair.labels)
        pairs.append(pair)
    return LabelledImages("folder", "train", named(("a", "b", "c")), tuple(pairs), lookup_of((10, 20, 30), (0,)))


def test_values_in_files_become_classes(dataset):
    assert dataset.labels(0).tolist() == [[0, 0, 1], [255, 255, 1]]
    assert dataset.labels(1).dtype == np.uint8


def test_shares_are_of_labelled_pixels_of_all_images(dataset):
    assert dataset.class_shares().tolist() == pytest.approx([3 / 8, 2 / 8, 3 / 8])


def test_shares_without_a_label_are_an_error(dataset):
    for pair in dataset.pairs:
        Image.new("L", (3, 2)).save(pair.labels)

    with pytest.raises(DatasetError, match="no pixel of the 2 images of split 'train' has a label"):
        dataset.class_shares()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_unknown_value_is_named_with_its_file_and_count(dataset, dtype):
    values = np.array([[10, 11, 11], [0, 0, 12]], dtype)
    Image.fromarray(values).save(dataset.pairs[0].labels)

    with pytest.raises(DatasetError, match=r"p0_labels\.png holds the value 11 in 2, 12 in 1 pixels") as raised:
        dataset.labels(0)

    assert "folder uses 10, 20, 30 for its classes and 0 for unlabelled pixels" in str(raised.value)


def test_a_value_above_255_is_unknown_even_when_255_is_not(dataset):
    Image.fromarray(np.full((2, 3), 511, np.uint16)).save(dataset.pairs[0].labels)
    folder = LabelledImages("folder", "train", dataset.classes, dataset.pairs, lookup_of(range(3)))

    with pytest.raises(DatasetError, match=r"511 in 6 pixels; folder uses 0\.\.2 for its classes and 255 for unl"):
        folder.labels(0)


def test_values_above_255_have_classes_where_the_table_says_so(dataset):
    Image.fromarray(np.array([[10, 459, 0]] * 2, np.uint16)).save(dataset.pairs[0].labels)
    wide = LabelledImages("folder", "train", dataset.classes, dataset.pairs, lookup_of((10, 182, 459), (0,)))

    assert wide.labels(0).tolist() == [[0, 2, 255]] * 2


def test_the_value_above_the_largest_of_a_table_is_unknown(dataset):
    Image.fromarray(np.full((2, 3), 460, np.uint16)).save(dataset.pairs[0].labels)
    wide = LabelledImages("folder", "train", dataset.classes, dataset.pairs, lookup_of((10, 182, 459), ()))

    with pytest.raises(
        DatasetError, match="460 in 6 pixels; folder uses 10, 182, 459 for its classes and no value for"
    ):
        wide.labels(0)


def test_another_way_to_read_label_files_goes_through_the_same_checks(dataset):
    def read(pair):
        return np.full((2, 3) if pair.name == "p0" else (3, 3), 20, np.uint16)

    drawn = LabelledImages("folder", "train", dataset.classes, dataset.pairs, dataset.lookup, read)

    assert drawn.labels(0).tolist() == [[1, 1, 1]] * 2
    with pytest.raises(DatasetError, match="is 3 x 3 pixels but its image"):
        drawn.labels(1)


def test_labels_of_another_size_than_the_image_are_refused(dataset):
    Image.new("L", (4, 2)).save(dataset.pairs[0].labels)

    with pytest.raises(DatasetError, match=r"p0_labels\.png is 4 x 2 pixels but its image .*p0\.png is 3 x 2"):
        dataset.labels(0)


def test_a_fingerprint_is_of_the_pixels_not_of_the_file(dataset, tmp_path):
    before = dataset.fingerprint(1)
    Image.fromarray(dataset.image(1)).save(dataset.pairs[1].image, compress_level=0)

    assert dataset.fingerprint(1) == before == hashlib.sha256(b"2x3" + bytes([1] * 18)).hexdigest()[:16]
    assert dataset.fingerprint(0) != before


def test_runs_of_numbers_are_written_short():
    assert spans(np.array([0, 1, 2, 5, 7, 8])) == "0..2, 5, 7..8"
    assert spans(np.array([], int)) == ""

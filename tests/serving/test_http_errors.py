"""Errors of requests are values: comparable, hashable, picklable."""

import pickle

import pytest

from cgrseg.serving.http_errors import RequestError, queue_full


def test_equal_errors_are_one_element_of_a_set():
    assert len({queue_full("street", 8), queue_full("street", 8), queue_full("street", 9)}) == 2


def test_an_error_survives_pickling_with_all_its_fields():
    error = pickle.loads(pickle.dumps(queue_full("street", 8)))

    assert error == queue_full("street", 8)
    assert (error.status, error.kind, error.headers) == (503, "busy", {"Retry-After": "1"})
    assert str(error) == "model 'street' has 8 images in hand, its limit; try again in a second"


def test_errors_that_differ_in_status_only_are_not_equal():
    assert RequestError("no", status=404) != RequestError("no", status=410)


@pytest.mark.parametrize("field", ["status", "kind", "headers", "problem"])
def test_no_field_can_be_set(field):
    with pytest.raises(AttributeError):
        setattr(queue_full("street", 8), field, None)

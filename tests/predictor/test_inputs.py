"""Values given to a segmenter that are no images."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("value", ["None", "b'bytes'", "[[1, 2, 3]]", "3"])
def test_a_value_that_is_no_image_is_named_by_its_type(value):
    program = f"from cgrseg.predictor.segmenter import as_image; as_image({value})"  # whose types nothing checks

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "is not an image; give a path, a PIL image or an RGB array of h x w x 3 uint8" in result.stderr

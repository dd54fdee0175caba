"""The folder of a run: one trainer at a time, and nothing needed that a checkpoint has, too."""

import subprocess
import sys

import pytest
from support.tiny import RECIPE

from cgrseg.config.parsing import checked
from cgrseg.errors import RecipeError, TrainingError
from cgrseg.files import locked
from cgrseg.training import train
from cgrseg.training.checkpoint import identity_of, read_checkpoint
from cgrseg.training.run_folder import recipe_to_resume

HOLD = """
import sys
from pathlib import Path
from cgrseg.files import locked
with locked(Path(sys.argv[1])) as is_free:
    print(is_free, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    """A finished run; tests may damage everything in it but its checkpoints."""
    folder = tmp_path_factory.mktemp("run")
    train(RECIPE, images, folder)
    return folder


def test_a_folder_in_which_another_process_trains_is_refused(images, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "True\n"

        with pytest.raises(TrainingError, match="another process is training in this folder"):
            train(RECIPE, images, tmp_path)

        other.kill()
    with locked(tmp_path) as is_free:
        assert is_free


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_weights_without_a_checkpoint_are_not_replaced(images, tmp_path, name):
    (tmp_path / name).write_bytes(b"weights")

    for resume, words in ((True, f"{name} but no checkpoint to resume from"), (False, "already holds a run")):
        with pytest.raises(TrainingError, match=words):
            train(RECIPE, images, tmp_path, resume=resume)

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"weights"


def test_what_a_killed_process_left_unfinished_is_removed_on_resume(run, images):
    left = [run / ".last.safetensors.0123abcd.tmp", run / "states" / ".00000001-00000000.pt.0123abcd.tmp"]
    for path in left:
        path.write_bytes(b"half")

    train(RECIPE, images, run, resume=True)

    assert [path for path in left if path.exists()] == []


@pytest.mark.parametrize("content", [None, "", "model: {size: s", "model: 3", "model: {size: s0}"])
def test_the_recipe_of_a_run_is_also_in_its_checkpoints(run, content, caplog):
    trained = identity_of(read_checkpoint(run / "states")[1]).recipe
    file = run / "recipe.yaml"
    file.unlink(missing_ok=True) if content is None else file.write_text(content)

    assert recipe_to_resume(run) == trained
    assert "the run goes on with the recipe in its newest checkpoint" in caplog.text


def test_without_a_checkpoint_a_damaged_recipe_is_an_error_and_no_run_is_none(tmp_path):
    assert recipe_to_resume(tmp_path) is None
    (tmp_path / "recipe.yaml").write_text("model: {size: s")

    with pytest.raises(RecipeError, match="not a YAML file"):
        recipe_to_resume(tmp_path)


def test_a_run_resumes_though_its_recipe_and_its_list_of_starts_are_damaged(run, images, caplog):
    (run / "run.json").write_text('{"starts": [')
    (run / "recipe.yaml").write_text("model: 3")

    train(checked(RECIPE), images, run, resume=True)

    assert "run.json is damaged" in caplog.text

import json
import shutil
import signal

import numpy as np
import pytest
import yaml
from PIL import Image

TINY = """
model: {size: s0, preset: from_scratch}
data: {kind: folder, fit_px: [48, 64], scale: [1, 1], crops_px: [[32, 32]], workers: 0}
train: {steps: 2, batch_size: 2, warmup_steps: 1, eval_every: 2, groups: matrices}
inference: {short_px: 48}
"""

PAPER_START = "{backbone: any/backbone, attention_tables: zero}"


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY, encoding="utf-8")
    return file


@pytest.mark.slow
def test_a_run_writes_weights_that_the_other_commands_take(run, recipe, labelled, tmp_path):
    trained = run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run")
    told = run("info", tmp_path / "run/last.safetensors")

    assert trained.code == 0
    assert trained.out.strip() == str(tmp_path / "run/best.safetensors")
    assert "4 images, 3 classes, 2 steps" in trained.err
    assert "val mIoU" in trained.err
    assert yaml.safe_load(told.out)["trained"]["steps"] == 2


@pytest.mark.slow
def test_a_run_from_a_backbone_says_which_file_it_was(run, recipe, labelled, tmp_path, imagenet_s0):
    start = ("--set", f"start.backbone={imagenet_s0}")

    trained = run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run", *start)
    told = run("info", tmp_path / "run/last.safetensors")

    digest = yaml.safe_load(told.out)["trained"]["recipe"]["start"]["sha256"]
    assert trained.code == 0
    assert f"SHA-256 {digest}), attention tables resampled" in "".join(trained.err.split("\n"))


@pytest.mark.slow
def test_a_backbone_without_attention_is_not_said_to_have_tables(run, recipe, labelled, tmp_path, imagenet_lite):
    start = ("--set", f"start.backbone={imagenet_lite}", "--set", "model.size=lite")

    trained = run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run", *start)

    assert trained.code == 0
    assert "backbone from" in trained.err
    assert "attention" not in trained.err


def test_a_backbone_of_another_size_stops_the_run_before_it_leaves_a_folder(
    run, recipe, labelled, tmp_path, imagenet_s0
):
    start = ("--set", f"start.backbone={imagenet_s0}", "--set", "model.size=b")

    result = run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run", *start)

    assert result.code == 1
    assert "is an EfficientFormerV2-S0, the backbone of size s0, but model.size is b" in result.err
    assert not (tmp_path / "run").exists()


def test_a_backbone_alone_is_no_network_to_start_from(run, recipe, labelled, tmp_path, imagenet_s0):
    result = run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run", "--init", imagenet_s0)

    assert result.code == 1
    assert "is a backbone alone (EfficientFormerV2-S0, in the naming of timm)" in result.err


@pytest.mark.slow
def test_the_log_is_one_json_line_for_each_event(run, recipe, labelled, tmp_path):
    run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run")

    events = [json.loads(line)["event"] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert events == ["started", "stepped", "stepped", "scored"]


@pytest.mark.slow
def test_a_folder_with_a_run_is_not_overwritten(run, recipe, labelled, tmp_path):
    run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run")

    again = run("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run")

    assert again.code == 1
    assert "--resume" in again.err


@pytest.mark.slow
def test_a_stopped_run_says_how_to_go_on(run, recipe, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "cgrseg.cli.train_display.TrainingDisplay._step", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    words = ("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run")

    stopped = run(*words)
    monkeypatch.undo()
    done = run(*words, "--resume")

    assert stopped.code == 75
    assert f"stopped after step 1; its state is in {tmp_path / 'run'}; the same command with --resume" in stopped.err
    assert done.code == 0


@pytest.mark.slow
def test_changed_settings_are_taken_where_they_are_accepted(run, recipe, labelled, tmp_path):
    words = ("train", recipe, "--data", f"folder={labelled}", "-o", tmp_path / "run")
    run(*words)

    refused = run(*words, "--resume", "--set", "train.steps=3")
    accepted = run(*words, "--resume", "--set", "train.steps=3", "--accept-changes")

    assert refused.code == 1
    assert "train.steps was 2, is 3" in refused.err
    assert accepted.code == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.batch_sise=2", "did you mean 'batch_size'?"),
        ("train.steps=many", "'many' is not a whole number"),
        ("steps=2", "write section.key=value"),
    ],
)
def test_a_wrong_setting_is_a_mistake(run, recipe, labelled, setting, message):
    result = run("train", recipe, "--data", f"folder={labelled}", "--set", setting)

    assert result.code == 1
    assert message in result.err


@pytest.mark.slow
def test_merged_classes_are_learnt_and_scored_without_naming_them_again(run, recipe, labelled, tmp_path):
    (tmp_path / "merge.yaml").write_text("still: [sky, road]\nmoving: [car]\n", encoding="utf-8")
    run("train", recipe, "--data", f"folder={labelled}", "--merge", tmp_path / "merge.yaml", "-o", tmp_path / "run")

    weights = tmp_path / "run/last.safetensors"
    scored = run("evaluate", weights, "--data", f"folder={labelled}", "--json", tmp_path / "scores.json")

    assert scored.code == 0
    assert list(json.loads((tmp_path / "scores.json").read_text())["iou"]) == ["still", "moving"]
    settings = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())
    assert settings["data"]["merge"] == {"still": ["sky", "road"], "moving": ["car"]}


def test_a_merge_that_leaves_a_class_out_is_a_mistake(run, recipe, labelled, tmp_path):
    (tmp_path / "merge.yaml").write_text("still: [sky, road]\n", encoding="utf-8")

    result = run("train", recipe, "--data", f"folder={labelled}", "--merge", tmp_path / "merge.yaml")

    assert result.code == 1
    assert "merge leaves out car" in result.err


def test_splits_with_classes_of_their_own_must_agree(run, recipe, labelled):
    (labelled / "classes.txt").unlink()
    for split, names in (("train", ("sky", "road")), ("val", ("road", "sky"))):
        files = sorted((labelled / "images" / split).iterdir())
        tree = {
            "images": [{"id": file.stem, "file_name": file.name, "height": 48, "width": 64} for file in files],
            "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
            "annotations": [],
        }
        (labelled / "annotations" / f"{split}.json").write_text(json.dumps(tree), encoding="utf-8")

    result = run("train", recipe, "--data", f"folder={labelled}")

    assert result.code == 1
    assert "the classes of train and val differ; write a classes.txt into the folder" in result.err


def test_deviations_are_printed_without_data(run, recipe):
    told = run("train", "--deviations", recipe, "--set", "data.kind=ade20k", "--set", "train.ema=0.9")

    assert told.code == 0
    assert told.out.startswith("Compared with the paper's released configuration for ADE20K.\n\nSettings:\n")
    assert "  train.steps: 2 instead of 160000\n" in told.out
    assert "  train.ema: 0.9 instead of none" in told.out
    assert "  start.backbone: none (random weights, or given ones) instead of a backbone" in told.out
    assert "\nWhatever the settings:\n  loss: mean" in told.out
    assert told.err == ""


def test_deviations_heed_the_data_that_is_given_and_train_nothing(run, recipe, labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe.write_text(f"model: {{position: official}}\nstart: {PAPER_START}\ndata: {{kind: ade20k}}", encoding="utf-8")

    alone, with_data = (run("train", recipe, *data, "--deviations") for data in ((), ("-d", f"folder={labelled}")))

    assert "Settings: no difference.\n" in alone.out
    assert "data.kind: folder instead of" in with_data.out
    assert not (tmp_path / "runs").exists()


def test_deviations_heed_a_merge_without_data(run, recipe, tmp_path):
    (tmp_path / "merge.yaml").write_text("still: [wall, sky]\n", encoding="utf-8")

    told = run("train", recipe, "--merge", tmp_path / "merge.yaml", "--set", "data.kind=ade20k", "--deviations")

    assert "  data.merge: {still: [wall, sky]} instead of none" in told.out
    assert "data.kind" not in told.out


def test_deviations_of_a_broken_recipe_are_a_mistake(run, recipe):
    told = run("train", recipe, "--deviations", "--set", "train.stps=2")

    assert told.code == 1
    assert "did you mean 'steps'?" in told.err


def test_without_the_flag_data_is_needed(run, recipe):
    told = run("train", recipe)

    assert told.code == 2
    assert "Missing option '-d' / '--data'" in told.err


TINY_PLAN = ("--set", "train.steps=2", "--set", "train.batch_size=2", "--set", "data.workers=0")


@pytest.fixture
def flat(labelled):
    """The four images of train alone, without folders for splits, and the two others without labels."""
    for part in ("images", "annotations"):
        for file in (labelled / part / "train").iterdir():
            file.rename(labelled / part / file.name)
        (labelled / part / "train").rmdir()
    (labelled / "images/val").rename(labelled / "images/unlabelled")
    shutil.rmtree(labelled / "annotations/val")
    rng = np.random.default_rng(0)
    for file in (labelled / "images").rglob("*.png"):  # images of few colours look alike
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(file)
    return labelled


@pytest.mark.slow
def test_images_alone_are_enough_and_the_run_repeats_from_its_own_recipe(run, flat, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    planned = run("train", "--init", weights, "--data", f"folder={flat}", *TINY_PLAN)
    folder = tmp_path / "runs/labelled"
    scored = run("evaluate", folder / "best.safetensors", "--data", f"folder={flat}", "--split", "holdout")
    again = run("train", folder / "recipe.yaml", "--init", weights, "--data", f"folder={flat}", "-o", "again")

    assert (planned.code, scored.code, again.code) == (0, 0, 0), planned.err
    assert planned.out.strip() == "runs/labelled/best.safetensors"
    assert "3 images to train on, 1 to evaluate on, split by content: 4 scenes" in planned.err
    assert "train.steps 2: as you set" in planned.err
    assert "VERDICT: mIoU" in planned.err
    assert "LABEL THESE NEXT" in planned.err
    assert "folder holdout, 1 images" in scored.out
    assert json.loads((folder / "verdict.json").read_text())["scored"] == 1
    first, second = (yaml.safe_load((each / "recipe.yaml").read_text()) for each in (folder, tmp_path / "again"))
    assert first == second
    assert len(first["data"]["hold_out"]) == 1


@pytest.mark.slow
def test_resuming_nothing_starts_a_run_that_resumes_by_its_own_recipe(run, labelled, tmp_path, monkeypatch, caplog):
    command = ("train", "--data", f"folder={labelled}", "-o", tmp_path / "run")
    first = run(*command, *TINY_PLAN, "--set", "model.size=s0", "--resume")
    monkeypatch.setattr("cgrseg.advisor.plan", None)

    second = run(*command, "--resume", "--unlabelled", labelled / "images/val")

    assert (first.code, second.code) == (0, 0)
    assert "holds no checkpoint to resume from; the run starts at its first step" in caplog.text
    assert "your own val" in first.err
    assert "--resume -o" in first.err.partition("Which images to label next?")[2]
    assert "LABEL THESE NEXT" in second.err


def test_a_run_in_the_folder_is_noticed_before_the_data_is_looked_at(run, labelled, tmp_path):
    (tmp_path / "best.safetensors").touch()
    (labelled / "images/train/0.png").write_bytes(b"")

    result = run("train", "--data", f"folder={labelled}", "-o", tmp_path)

    assert result.code == 1
    assert "already holds a run" in result.err


def test_deviations_are_those_of_a_recipe(run):
    result = run("train", "--deviations")

    assert result.code == 2
    assert "--deviations compares a RECIPE" in result.err

import json

from cgrseg.report.rows import MOST_POINTS, read_history


def write_log(folder, events, rest=""):
    folder.mkdir(exist_ok=True)
    (folder / "best.safetensors").touch()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + rest)
    return str(folder / "best.safetensors")


def test_losses_and_scores_come_from_the_log_beside_the_weights(tmp_path):
    events = [
        {"event": "started", "step": 0, "steps": 4},
        {"event": "stepped", "step": 1, "loss": 2},
        {"event": "stepped", "step": 2, "loss": 9.0},
        {"event": "started", "step": 1, "steps": 4},
        {"event": "stepped", "step": 2, "loss": 1.5},
        {"event": "scored", "step": 2, "split": "val", "miou": 0.25, "iou": {}},
    ]

    history = read_history(write_log(tmp_path / "run", events, rest='{"event": "step'))

    assert history["losses"] == [(1, 2.0), (2, 1.5)]
    assert history["mious"] == [{"step": 2, "split": "val", "miou": 0.25}]


def test_steps_that_taught_nothing_have_no_loss_to_show(tmp_path):
    events = [
        {"event": "stepped", "step": 1, "loss": 2.0, "skipped": ""},
        {"event": "stepped", "step": 2, "loss": 0.0, "skipped": "no pixel of the batch has a label"},
        {"event": "stepped", "step": 3, "loss": None, "skipped": "the loss is nan"},
    ]

    assert read_history(write_log(tmp_path / "run", events))["losses"] == [(1, 2.0)]


def test_a_long_log_becomes_means_of_neighbours(tmp_path):
    events = [{"step": step, "loss": float(step % 2)} for step in range(10 * MOST_POINTS)]

    losses = read_history(write_log(tmp_path / "run", events))["losses"]

    assert len(losses) == MOST_POINTS
    assert losses[0] == (9, 0.5)


def test_without_a_log_there_is_no_history(tmp_path):
    (tmp_path / "weights.safetensors").touch()

    assert read_history(str(tmp_path / "weights.safetensors")) is None
    assert read_history("cgrseg-t-camvid") is None
    assert read_history("") is None
    assert read_history(write_log(tmp_path / "run", [{"event": "started", "step": 0}])) is None

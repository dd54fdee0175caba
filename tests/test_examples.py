"""The examples are files that the programs they are for would read, around commands that this package knows."""

import shlex
from pathlib import Path

import click
import pytest
import yaml

from cgrseg.cli.train import train
from cgrseg.recipes import read_recipe

ROOT = Path(__file__).parents[1]


def command_of_slurm() -> list[str]:
    script = (ROOT / "examples/train.slurm").read_text(encoding="utf-8").replace("\\\n", " ")
    line = next(line for line in script.splitlines() if line.startswith("srun"))
    return shlex.split(line.replace("$1", "/data"))


def command_of_kubernetes() -> list[str]:
    job = yaml.safe_load((ROOT / "examples/pytorchjob.yaml").read_text(encoding="utf-8"))
    worker = job["spec"]["pytorchReplicaSpecs"]["Worker"]
    container = worker["template"]["spec"]["containers"][0]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    assert mounted == {volume["name"] for volume in worker["template"]["spec"]["volumes"]}
    assert container["name"] == "pytorch"  # the operator looks for this name
    return container["command"] + container["args"]


@pytest.mark.parametrize("command", [command_of_slurm(), command_of_kubernetes()], ids=["slurm", "kubernetes"])
def test_an_example_calls_a_command_that_parses_with_a_recipe_that_is_there(command, monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    words = command[command.index("cgrseg") + 1 :]

    assert words[0] == "train"
    with train.make_context("train", words[1:], resilient_parsing=False) as context:
        settings = context.params

    assert context.command is train
    assert isinstance(context, click.Context)
    assert settings["resume"]
    assert settings["device"] == "cuda"
    recipe = read_recipe(ROOT / settings["recipe"], settings["overrides"])
    assert recipe.train.save_every == 500
    assert recipe.train.batch_size % 8 == 0  # two machines, four processes each


def test_the_slurm_script_starts_torchrun_on_every_machine_with_a_meeting_point():
    command = command_of_slurm()
    options = dict(word.split("=", 1) for word in command[: command.index("-m")] if "=" in word)

    assert command[0] == "srun"
    assert "torchrun" in command
    assert options["--rdzv-backend"] == "c10d"
    assert options["--rdzv-endpoint"] == "$first:29500"

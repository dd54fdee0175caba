"""The image and the examples that run it say what the service does; and the image's own steps make one that serves."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from PIL import Image
from support.dockerfile import ROOT, Build, context, read_stages

import cgrseg
from cgrseg.cli import commands
from cgrseg.config import DEFAULT_WEIGHTS
from cgrseg.serving import ServeConfig
from cgrseg.serving.app import build_app
from cgrseg.serving.server import SHUTDOWN_SECONDS

BUILD, FINAL = read_stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
LIVE, READY = "/v2/health/live", "/v2/health/ready"
COMPOSE, KSERVE = (yaml.safe_load((ROOT / f"examples/{name}.yaml").read_text()) for name in ("compose", "kserve"))
DEPLOYMENT, SERVICE = yaml.safe_load_all((ROOT / "examples/kubernetes.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINERS = {"kubernetes": POD["containers"][0], "kserve": KSERVE["spec"]["predictor"]["containers"][0]}
COMMANDS = {name: container["args"] for name, container in CONTAINERS.items()} | {
    "compose": COMPOSE["services"]["cgrseg"]["command"],
    "image": FINAL.one("CMD"),
}
NAMES = pytest.mark.parametrize("name", CONTAINERS)


def settings(arguments: list[str]) -> dict:
    """What `cgrseg serve` makes of the image's entry point and these arguments."""
    entry = FINAL.one("ENTRYPOINT")
    assert entry[:2] == ["cgrseg", "serve"]
    context = commands.commands["serve"].make_context("serve", [*entry[2:], *arguments])
    assert isinstance(context, click.Context)
    return context.params


@pytest.fixture(autouse=True)
def token(tmp_path, monkeypatch):
    """A token where an example looks for one."""
    monkeypatch.setattr(sys.modules["cgrseg.cli.serve"], "read_token", lambda file: "a token" if file else None)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_of_each_example_is_one_that_the_service_knows(name):
    given = settings(COMMANDS[name])

    assert (given["host"], str(given["port"])) == ("0.0.0.0", FINAL.one("EXPOSE")[0])
    assert given["weights"] == (DEFAULT_WEIGHTS,)


def test_the_image_runs_as_nobody_who_matters():
    assert all(int(number) >= 10_000 for number in FINAL.one("USER")[0].split(":"))
    assert FINAL.steps[0].rest.endswith("-slim")
    assert not FINAL.all("RUN")


def test_what_is_written_goes_to_the_one_folder_that_can_be_written_to():
    variables = FINAL.variables()

    assert all(variables[name].startswith("/tmp") for name in ("HOME", "CGRSEG_CACHE", "NUMBA_CACHE_DIR"))
    assert {"name": "tmp", "mountPath": "/tmp"} in CONTAINERS["kubernetes"]["volumeMounts"]
    assert {"name": "tmp", "mountPath": "/tmp"} in CONTAINERS["kserve"]["volumeMounts"]
    assert COMPOSE["services"]["cgrseg"]["tmpfs"] == ["/tmp"]


def test_the_image_has_a_python_that_the_package_takes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = re.search(r"^ARG PYTHON=([\d.]+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert tuple(map(int, version[1].split("."))) >= tuple(
        map(int, project["requires-python"].removeprefix(">=").split("."))
    )
    assert BUILD.variables()["EXTRAS"] in project["optional-dependencies"]


def test_all_that_the_package_is_built_from_is_copied_and_nothing_else_is_sent():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = {source for step in BUILD.all("COPY") for source in step.words()[:-1]}
    sent = context()

    assert {"pyproject.toml", "src", project["readme"], *project["license-files"]} <= copied
    assert {file.parts[0] for file in sent} == copied
    assert not [file for file in sent if "__pycache__" in file.parts or file.parts[1:2] == ("cgrseg.egg-info",)]


def test_the_image_is_asked_for_its_health_where_the_service_tells_it():
    known = build_app(ServeConfig(weights=("cgrseg-t-camvid",))).openapi()["paths"]

    assert LIVE in FINAL.health()[-1]
    assert {LIVE, READY} <= set(known)


@NAMES
def test_probes_ask_the_service_where_it_answers(name):
    container = CONTAINERS[name]
    ports = {port.get("name", port["containerPort"]): port["containerPort"] for port in container["ports"]}

    for probe, path in {"livenessProbe": LIVE, "readinessProbe": READY, "startupProbe": READY}.items():
        asked = container.get(probe, {"httpGet": {"path": path, "port": next(iter(ports))}})["httpGet"]
        assert (asked["path"], str(ports[asked["port"]])) == (path, FINAL.one("EXPOSE")[0])


@NAMES
def test_containers_may_do_nothing_but_serve(name):
    allowed = CONTAINERS[name]["securityContext"]
    whole = POD["securityContext"] | allowed if name == "kubernetes" else allowed

    assert allowed["readOnlyRootFilesystem"]
    assert not allowed["allowPrivilegeEscalation"]
    assert allowed["capabilities"] == {"drop": ["ALL"]}
    assert whole["runAsNonRoot"]
    assert str(whole["runAsUser"]) == FINAL.one("USER")[0].split(":")[0]


@NAMES
def test_containers_say_what_they_need(name):
    resources = CONTAINERS[name]["resources"]

    assert {"cpu", "memory"} <= set(resources["requests"])
    assert "memory" in resources["limits"]


def test_there_is_time_to_finish_what_is_in_hand():
    deadline = settings(COMMANDS["kubernetes"])["deadline_s"]
    before = int(CONTAINERS["kubernetes"]["lifecycle"]["preStop"]["exec"]["command"][-1])

    assert POD["terminationGracePeriodSeconds"] > before + deadline + SHUTDOWN_SECONDS
    assert int(COMPOSE["services"]["cgrseg"]["stop_grace_period"][:-1]) > ServeConfig.deadline_s + SHUTDOWN_SECONDS
    assert KSERVE["spec"]["predictor"]["timeout"] > settings(COMMANDS["kserve"])["deadline_s"]


def test_the_token_is_a_secret():
    (variable,) = CONTAINERS["kubernetes"]["env"]
    service = COMPOSE["services"]["cgrseg"]

    assert variable["name"] == "CGRSEG_TOKEN"
    assert set(variable["valueFrom"]) == {"secretKeyRef"}
    assert f"/run/secrets/{service['secrets'][0]}" in service["command"]


def test_the_parts_of_the_kubernetes_example_name_one_another():
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    (port,) = SERVICE["spec"]["ports"]

    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == SERVICE["spec"]["selector"] == labels
    assert port["targetPort"] in {port["name"] for port in CONTAINERS["kubernetes"]["ports"]}
    assert {volume["name"] for volume in POD["volumes"]} == {
        mount["name"] for mount in CONTAINERS["kubernetes"]["volumeMounts"]
    }
    assert CONTAINERS["kserve"]["name"] == "kserve-container"  # KServe looks for this name
    assert COMPOSE["services"]["cgrseg"]["image"].endswith(f":{cgrseg.__version__}")
    assert all(each["image"].endswith(f"/cgrseg:{cgrseg.__version__}") for each in CONTAINERS.values())


@pytest.mark.slow
def test_the_steps_of_the_image_make_a_service_that_segments_and_ends_well(tmp_path, photo):
    """Without a container engine: its folder /opt is one of ours, its address one of this machine."""
    for file in context():
        (tmp_path / "context" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / "context" / file)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    build = Build(tmp_path / "image", tmp_path / "context", {"PATH": path, "PIP_EXTRA_INDEX_URL": ""})
    build.run(BUILD)
    (tmp_path / "tmp").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])

    def here(text: str) -> str:
        placed = f"{tmp_path}{text}" if text.startswith("/tmp") else build.placed(text)
        return placed.replace("8080", port).replace("0.0.0.0", "127.0.0.1").replace("$PATH", os.environ["PATH"])

    variables = {name: here(value) for name, value in FINAL.variables().items()}
    running = {"env": variables, "cwd": tmp_path / "tmp"}
    server = start([*map(here, FINAL.one("ENTRYPOINT")), *FINAL.one("CMD")], **running)
    try:
        wait_for(f"http://127.0.0.1:{port}{READY}")
        health = start([here(word) for word in FINAL.health()], **running).wait()
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/segment", photo.read_bytes())
        labels = np.array(Image.open(io.BytesIO(urllib.request.urlopen(asked).read())))
        server.terminate()
        ended = server.wait(60)
    finally:
        server.kill()

    assert (health, ended) == (0, 0)
    assert labels.shape == (720, 1280)
    assert 3 <= len(np.unique(labels)) <= 11
    assert start([here(word) for word in FINAL.health()], **running).wait() != 0


def start(words: list[str], env: dict[str, str], cwd: Path) -> subprocess.Popen:
    """Start a command by its name on the image's own path."""
    program = shutil.which(words[0], path=env["PATH"])
    assert program
    assert not program.startswith(str(ROOT))
    return subprocess.Popen([program, *words[1:]], env=env, cwd=cwd, stderr=subprocess.DEVNULL)


def wait_for(address: str) -> None:
    """Wait until an address answers with 200."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(address)

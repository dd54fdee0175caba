"""docs/serving.md agrees with the server: formats, options, routes, commands."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from cgrseg.cli import commands
from cgrseg.serving import ServeConfig
from cgrseg.serving.app import build_app
from cgrseg.serving.response import ACCEPTED, Format

PAGE = (Path(__file__).parents[1] / "docs/serving.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", get_args(Format))
def test_each_format_has_its_line(form):
    assert f"\n| `{form}`" in PAGE


@pytest.mark.parametrize("media_type", ACCEPTED)
def test_each_type_that_may_be_accepted_is_told(media_type):
    assert f"`{media_type}`" in PAGE


def test_each_option_that_it_names_exists():
    options = {name for parameter in commands.commands["serve"].params for name in parameter.opts}

    named = set(re.findall(r"`(--[a-z-]+)", PAGE))

    assert {"--queue", "--deadline", "--workers"} <= named <= options


def test_each_address_that_it_names_exists():
    app = build_app(ServeConfig(weights=("cgrseg-t-camvid",)))
    known = {*app.openapi()["paths"], "/docs", "/openapi.json"}

    named = {path.replace("NAME", "{name}") for path in re.findall(r"`(?:GET |POST )?(/[\w/.]+)`", PAGE)}

    assert {"/v1/segment", "/v2", "/metrics"} <= named <= known


def test_each_command_is_accepted():
    lines = re.findall(r"^(cgrseg serve .*)$", PAGE, re.MULTILINE)

    assert lines
    for line in lines:
        commands.commands["serve"].make_context("serve", shlex.split(line)[2:])

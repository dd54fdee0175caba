"""Every route of the OpenAPI document, with valid and invalid requests."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_request_makes_the_server_fail_or_say_what_it_does_not_document(server, tmp_path):
    command = Path(sys.executable).with_name("schemathesis")
    if not command.exists():
        pytest.skip("needs the package schemathesis")
    settings = tmp_path / "schemathesis.toml"
    settings.write_text('[parameters]\n"path.name" = "tiny"\n')
    asked = ["--checks", CHECKS, "--max-examples", "20", "--seed", "1", "--phases", "examples,coverage,fuzzing"]
    address = f"http://{server.host}:{server.port}/openapi.json"

    result = subprocess.run(
        [command, "--config-file", settings, "run", address, *asked],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout[-3000:]
    assert "passed" in result.stdout

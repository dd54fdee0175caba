"""The parent of several worker processes."""

import socket
from types import SimpleNamespace

import uvicorn
from uvicorn.supervisors import Multiprocess

from cgrseg.serving.metrics import SHARED_FOLDER
from cgrseg.serving.server import Supervisor


def test_the_gauges_of_a_worker_go_whenever_it_died(tmp_path, monkeypatch):
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for pid in (11, 12):
        (tmp_path / f"gauge_livesum_{pid}.db").write_bytes(b"")
    with socket.socket() as listening:
        supervisor = Supervisor(uvicorn.Config("app", workers=2), listening, SimpleNamespace)
    supervisor.processes = [SimpleNamespace(pid=11), SimpleNamespace(pid=12)]

    def replace_the_first(self: Multiprocess) -> None:
        self.processes[0] = SimpleNamespace(pid=13)  # it died after this call had begun

    monkeypatch.setattr(Multiprocess, "keep_subprocess_alive", replace_the_first)
    supervisor.keep_subprocess_alive()

    assert [file.name for file in tmp_path.iterdir()] == ["gauge_livesum_12.db"]

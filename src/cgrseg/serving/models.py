"""The models of a server, each loaded by a thread of its own while the server already answers.

loading -- weights read, engine opened, one image segmented --> ready
   +------ anything went wrong ---------------------------------> failed, with the sentence that says why

Loading again changes nothing until the new segmenter is ready; if it fails, the old one goes on.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from threading import Thread
from typing import Literal

from cgrseg.errors import CGRSegError, reason
from cgrseg.predictor import Segmenter
from cgrseg.serving.http_errors import Refusal

logger = logging.getLogger(__name__)

SAMPLES = resources.files("cgrseg") / "assets"
WARM_UP = "street.jpg"
"""The image in the package that a model segments before it is ready."""


@dataclass(frozen=True)
class Status:
    """How far a model is; replaced as a whole."""

    state: Literal["loading", "ready", "failed"] = "loading"
    error: str | None = None
    segmenter: Segmenter | None = None


class Model:
    """A name, a source of weights, and what became of it."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source
        self.status = Status()
        self._loading: Thread | None = None
        self.engine_thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{name}")

    def start(self, load: Callable[[str], Segmenter]) -> None:
        """Begin to load; returns at once."""
        self._loading = Thread(target=self._load, args=(load,), name=f"load-{self.name}", daemon=True)
        self._loading.start()

    @property
    def is_loading(self) -> bool:
        """Whether weights are being read now."""
        return self._loading is not None and self._loading.is_alive()

    def _load(self, load: Callable[[str], Segmenter]) -> None:
        try:
            segmenter = load(self.source)
            warm_up(segmenter)
        except Exception as error:  # the server lives on, whatever the reason
            is_ours = isinstance(error, CGRSegError | OSError)
            logger.log(logging.ERROR, "model %s failed: %s", self.name, reason(error), exc_info=not is_ours)
            if self.status.segmenter is None:
                self.status = Status("failed", reason(error))
            return
        self.status = Status("ready", None, segmenter)
        logger.info("model %s is ready on engine %s", self.name, segmenter.engine.name)

    def require(self) -> Segmenter:
        """What segments.

        Raises:
            Refusal: it is still loading, or it failed.
        """
        status = self.status
        if status.segmenter is not None:
            return status.segmenter
        if status.state == "loading":
            raise Refusal(503, "loading", f"model {self.name!r} is still loading; try again", {"Retry-After": "2"})
        raise Refusal(503, "failed", f"model {self.name!r} could not be loaded: {status.error}")

    def describe(self) -> dict:
        """What `/v1/models` says of it."""
        told = {"name": self.name, "state": self.status.state, "error": self.status.error}
        segmenter = self.status.segmenter
        if segmenter is None:
            return told | {"engine": None, "size": None, "input": None, "classes": [], "scores": {}}
        info = segmenter.info
        rows = zip(info.classes.names, info.classes.colours, strict=True)
        return told | {
            "engine": segmenter.engine.name,
            "size": info.model.size,
            "input": f"short side {info.inference.short_px}, long side at most {info.inference.long_px}",
            "classes": [{"name": name, "colour": list(colour)} for name, colour in rows],
            "scores": info.scores,
        }


def warm_up(segmenter: Segmenter) -> None:
    """Segment an image in full, so that the first request waits for nothing."""
    with resources.as_file(SAMPLES / WARM_UP) as path:
        _ = segmenter(path).confidence


def sample_names() -> list[str]:
    """The images in the package to try a model on."""
    return sorted(entry.name for entry in SAMPLES.iterdir() if entry.name.endswith(".jpg"))

"""Models of a server, each loaded in a thread of its own while the server already responds.

    loading -- weights read, engine opened, one image segmented --> ready
       +------ any error -----------------------------------------> failed, with its message

Reloading keeps the current segmenter until the new one is ready, and for good if the new one fails.
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
from cgrseg.serving.http_errors import RequestError, retry_after

logger = logging.getLogger(__name__)

SAMPLES = resources.files("cgrseg") / "assets"
WARM_UP = "street.jpg"
"""The image in the package that a model segments before it is ready."""


@dataclass(frozen=True)
class Status:
    """How far loading has come; replaced as a whole, never changed."""

    state: Literal["loading", "ready", "failed"] = "loading"
    error: str | None = None
    segmenter: Segmenter | None = None


class Model:
    """A named model, the source of its weights and its current status."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source
        self.status = Status()
        self._loading: Thread | None = None
        self.engine_thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{name}")

    def start(self, load: Callable[[str], Segmenter]) -> None:
        """Start to load in a thread, and return at once."""
        self._loading = Thread(target=self._load, args=(load,), name=f"load-{self.name}", daemon=True)
        self._loading.start()

    def wait(self) -> None:
        """Wait until it is ready or failed."""
        if self._loading is not None:
            self._loading.join()

    @property
    def is_loading(self) -> bool:
        """Whether weights are being read now."""
        return self._loading is not None and self._loading.is_alive()

    def _load(self, load: Callable[[str], Segmenter]) -> None:
        try:
            segmenter = load(self.source)
            warm_up(segmenter)
        except Exception as error:  # a model that fails must not stop the server
            is_ours = isinstance(error, CGRSegError | OSError)
            logger.log(logging.ERROR, "model %s failed: %s", self.name, reason(error), exc_info=not is_ours)
            if self.status.segmenter is None:
                self.status = Status("failed", reason(error))
            return
        self.status = Status("ready", None, segmenter)
        logger.info("model %s is ready on engine %s", self.name, segmenter.engine.name)

    def require(self) -> Segmenter:
        """The segmenter.

        Raises:
            RequestError: the model is still loading, or could not be loaded.
        """
        status = self.status
        if status.segmenter is not None:
            return status.segmenter
        if status.state == "loading":
            raise RequestError(
                f"model {self.name!r} is still loading",
                advice="try again",
                status=503,
                kind="loading",
                headers=retry_after(2),
            )
        raise RequestError(f"model {self.name!r} could not be loaded: {status.error}", status=503, kind="failed")

    def describe(self) -> dict:
        """The entry of this model in `/v1/models`."""
        description = {"name": self.name, "state": self.status.state, "error": self.status.error}
        segmenter = self.status.segmenter
        if segmenter is None:
            return description | {"engine": None, "size": None, "input": None, "classes": [], "scores": {}}
        info = segmenter.info
        rows = zip(info.classes.names, info.classes.colours, strict=True)
        return description | {
            "engine": segmenter.engine.name,
            "size": info.model.size,
            "input": f"short side {info.inference.short_px}, long side at most {info.inference.long_px}",
            "classes": [{"name": name, "colour": list(colour)} for name, colour in rows],
            "scores": info.scores,
        }


def warm_up(segmenter: Segmenter) -> None:
    """Segment an image in full, so that the first request finds everything loaded and compiled."""
    with resources.as_file(SAMPLES / WARM_UP) as path:
        _ = segmenter(path).confidence


def sample_names() -> list[str]:
    """File names of the example images in the package."""
    return sorted(entry.name for entry in SAMPLES.iterdir() if entry.name.endswith(".jpg"))

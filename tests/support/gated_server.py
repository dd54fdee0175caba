"""A server process for tests: its engine waits while a file is there, and writes down each time it is asked."""

import logging
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from support.colour_engine import ColourEngine, colour_info

from cgrseg.predictor import Segmenter
from cgrseg.serving import ServeConfig, decoding
from cgrseg.serving.connection import ConnectionProtocol
from cgrseg.serving.server import serve

folder = Path(sys.argv[1])
settings = {name: int(value) for name, _, value in (given.partition("=") for given in sys.argv[2:])}


for name in ("header_seconds", "write_seconds"):
    if name in settings:
        setattr(ConnectionProtocol, name, settings.pop(name))
decoding.DECODE_SECONDS = settings.pop("decode_seconds", decoding.DECODE_SECONDS)


class FileGatedEngine(ColourEngine):
    """Waits for a file to vanish."""

    def __call__(self, images):
        with (folder / "asked").open("a", encoding="utf-8") as file:
            file.write(f"{images.shape}\n")
        while (folder / "closed").exists():
            time.sleep(0.005)
        return super().__call__(images)


logging.basicConfig(format="cgrseg: %(message)s", level=logging.INFO, stream=sys.stderr)
serve(
    ServeConfig(weights=("colours",), **settings), "127.0.0.1", 0, lambda _: Segmenter(FileGatedEngine(), colour_info())
)

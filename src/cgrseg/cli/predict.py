"""`cgrseg predict`: pictures to label maps."""

import itertools
import time
from pathlib import Path

import click

from cgrseg.cli import options
from cgrseg.cli.progress import bar

MISTAKE, SOME_FAILED = 1, 3


@click.command(epilog="Example:  cgrseg predict photos/ -o out/")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("-w", "--weights", default="cgrseg-t-camvid", show_default=True, help="Bundled name, file or hub id.")
@click.option("-o", "--output", type=options.FOLDER, default="out", show_default=True, help="Folder for the results.")
@options.engine
@options.device
@options.threads
def predict(
    sources: tuple[str, ...], weights: str, output: Path, engine: str, device: str, threads: int | None
) -> None:
    """Write the label map, an overlay and the areas of every picture of SOURCE (files, folders or patterns)."""
    import cgrseg
    from cgrseg.data.images import find_images

    started = time.perf_counter()
    pictures = [picture for source in sources for picture in find_images(source)]
    segmenter = cgrseg.load(weights, engine=engine, device=device, threads=threads)
    failures = []
    with bar("pictures", len(pictures)) as advance:
        for picture in pictures:
            for result in segmenter.stream(picture):
            ...

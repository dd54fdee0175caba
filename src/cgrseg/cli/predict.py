"""`cgrseg predict`: from pictures to label maps."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgrseg.cli import options
from cgrseg.cli.progress import bar, say

if TYPE_CHECKING:
    from cgrseg.prediction import Failure, Segmentation
    from cgrseg.runtime import EngineName

ALL_FAILED, SOME_FAILED = 1, 3


@click.command(epilog="\b\nExample:\n  cgrseg predict photos/ -o out/")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("-w", "--weights", default="cgrseg-t-camvid", show_default=True, help="Bundled name, file or hub id.")
@click.option("-o", "--output", type=options.FOLDER, default="out", show_default=True, help="Folder for the results.")
@options.engine
@options.device
@options.threads
def predict(
    sources: tuple[str, ...], weights: str, output: Path, engine: "EngineName", device: str, threads: int | None
) -> None:
    """Write a label map for every picture of SOURCE. A file, a folder or a pattern; an overlay and areas come too."""
    import cgrseg
    from cgrseg.data.images import find_images

    started = time.perf_counter()
    total = sum(len(find_images(source)) for source in sources)
    segmenter = cgrseg.load(weights, engine=engine, device=device, threads=threads)
    done = 0
    with bar("pictures", total) as show:
        for count, result in enumerate(segmenter.stream(sources), start=1):
            done += is_delivered(result, output)
            show(count)
    click.echo(f"{done} of {total} pictures in {time.perf_counter() - started:.1f} s", err=True)
    if done < total:
        sys.exit(SOME_FAILED if done else ALL_FAILED)


def is_delivered(result: "Segmentation | Failure", output: Path) -> bool:
    """Save a result and print where, or print why there is none."""
    from cgrseg.prediction import Failure

    if isinstance(result, Failure):
        say(f"cgrseg: error: {result.error}", is_error=True)
        return False
    say(result.save(output))
    return True

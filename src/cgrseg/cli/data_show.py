"""`cgrseg data show`: images of a data set, their labels, and what training makes of both."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgrseg.cli import options

if TYPE_CHECKING:
    from cgrseg.config import DataConfig
    from cgrseg.data.datasets import LabelledImages
    from cgrseg.data.samples import Sample
    from cgrseg.draw.contact_sheet import Cell
    from cgrseg.types import LabelMap

HEADS = ("Image", "Labels", "As training sees it", "Labels as training sees them")


EXAMPLE = """\b
Example:
  cgrseg data show --data folder=my-photos -o sheet.png
  cgrseg data show --recipe mixture.yaml --data voc=path/to/VOC2012 --data mine=my-photos"""


@click.command("show", epilog=EXAMPLE)
@options.several_data
@click.option("--split", default="train", show_default=True, help="Part of the data set: train, val or test.")
@click.option("--count", type=click.IntRange(1, 50), default=8, show_default=True, help="Images on the sheet.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which images, which crops.")
@click.option("--recipe", type=options.FILE, help="Recipe whose settings of `data`, and sources, are shown.")
@click.option("-o", "--output", type=options.FILE, default="sheet.png", show_default=True, help="The sheet.")
def show(data: options.DataPaths, split: str, count: int, seed: int, recipe: Path | None, output: Path) -> None:
    """Draw a contact sheet of images, their labels, and both as training sees them."""
    from cgrseg.data.images import write_image
    from cgrseg.data.samples import areas, draw_samples, labels_shown
    from cgrseg.draw.contact_sheet import contact_sheet

    dataset, config = opened(data, recipe, split)
    samples = draw_samples(dataset, config, count, seed)
    title = f"{dataset.kind} {split}: {len(samples)} of {len(dataset):,} images, {len(dataset.classes)} classes"
    rows = [cells(sample) for sample in samples]
    write_image(output, contact_sheet(title, HEADS, rows, labels_shown(dataset), areas(samples, dataset)))
    click.echo(output)


def opened(data: options.DataPaths, recipe: Path | None, split: str) -> "tuple[LabelledImages, DataConfig]":
    """The split of one data set, or of all sources together, and the settings of `data` that training would have."""
    import cgrseg
    from cgrseg.config import DataConfig
    from cgrseg.data.mixture import open_mixture

    mixture = options.mixture_of(data, recipe)
    if mixture is not None:
        config = cgrseg.read_recipe(recipe).data if recipe else DataConfig()
        return open_mixture(*mixture, split), config
    one = data.single()
    config = cgrseg.read_recipe(recipe, one.overrides()).data if recipe else DataConfig(kind=one.kind, merge=one.merge)
    return cgrseg.open_dataset(one.kind, one.path, split, merge=config.merge), config


def cells(sample: "Sample") -> "list[Cell]":
    """The row of a sample."""
    from cgrseg.draw.contact_sheet import Cell

    sizes = [f"{width} x {height}" for height, width in (sample.labels.shape, sample.seen_labels.shape)]
    return [
        Cell(sample.image, None, sample.name),
        Cell(sample.image, sample.labels, f"{sizes[0]}, {_present(sample.labels)}"),
        Cell(sample.seen, None, f"crop of {sizes[1]}"),
        Cell(sample.seen, sample.seen_labels, _present(sample.seen_labels)),
    ]


def _present(labels: "LabelMap") -> str:
    """How many classes a label map holds."""
    from cgrseg.types import IGNORE

    count = len({*labels.ravel().tolist()} - {IGNORE})
    return f"{count} class{'' if count == 1 else 'es'}"

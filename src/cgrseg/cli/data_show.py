"""`cgrseg data show`: pictures of a data set, their labels, and what training makes of both."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgrseg.cli import options

if TYPE_CHECKING:
    from cgrseg.arrays import LabelMap
    from cgrseg.config import DataConfig
    from cgrseg.data.sheet import Sample
    from cgrseg.draw.sheet import Cell

HEADS = ("Picture", "Labels", "As training sees it", "Labels as training sees them")


@click.command("show", epilog="\b\nExample:\n  cgrseg data show --data folder=my-photos -o sheet.png")
@options.data
@click.option("--split", default="train", show_default=True, help="Part of the data set: train, val or test.")
@click.option("--count", type=click.IntRange(1, 50), default=8, show_default=True, help="Pictures on the sheet.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which pictures, which crops.")
@click.option("--recipe", type=options.FILE, help="Recipe whose settings of `data` the crops are made by.")
@click.option("-o", "--output", type=options.FILE, default="sheet.png", show_default=True, help="The sheet.")
def show(data: options.DataPath, split: str, count: int, seed: int, recipe: Path | None, output: Path) -> None:
    """Draw a contact sheet of pictures, their labels, and both as training sees them."""
    import cgrseg
    from cgrseg.data.images import write_image
    from cgrseg.data.sheet import areas, draw_samples
    from cgrseg.draw.sheet import contact_sheet

    config = settings(data, recipe)
    dataset = cgrseg.open_dataset(data.kind, data.path, split, merge=config.merge)
    samples = draw_samples(dataset, config, count, seed)
    title = f"{data.kind} {split}: {len(samples)} of {len(dataset):,} pictures, {len(dataset.classes)} classes"
    rows = [cells(sample) for sample in samples]
    write_image(output, contact_sheet(title, HEADS, rows, dataset.classes, areas(samples, dataset)))
    click.echo(output)


def settings(data: options.DataPath, recipe: Path | None) -> "DataConfig":
    """The settings of `data` that training would have."""
    import cgrseg
    from cgrseg.config import DataConfig

    if recipe is None:
        return DataConfig(kind=data.kind, merge=data.merge)
    return cgrseg.read_recipe(recipe, data.overrides()).data


def cells(sample: "Sample") -> "list[Cell]":
    """The row of a sample."""
    from cgrseg.draw.sheet import Cell

    sizes = [f"{width} x {height}" for height, width in (sample.labels.shape, sample.seen_labels.shape)]
    return [
        Cell(sample.image, None, sample.name),
        Cell(sample.image, sample.labels, f"{sizes[0]}, {_present(sample.labels)}"),
        Cell(sample.seen, None, f"crop of {sizes[1]}"),
        Cell(sample.seen, sample.seen_labels, _present(sample.seen_labels)),
    ]


def _present(labels: "LabelMap") -> str:
    """How many classes a label map holds."""
    from cgrseg.arrays import IGNORE

    count = len({*labels.ravel().tolist()} - {IGNORE})
    return f"{count} class{'' if count == 1 else 'es'}"

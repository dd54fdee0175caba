"""`cgrseg info`: what a weights file holds."""

from pathlib import Path

import click
import yaml

from cgrseg.cli import options
from cgrseg.recipes import as_tree


@click.command(epilog="\b\nExample:\n  cgrseg info cgrseg-t-camvid")
@click.argument("weights")
@options.as_json
def info(weights: str, json_file: Path | None) -> None:
    """Tell what is in WEIGHTS. Network, classes, scores, and the recipe they were trained by."""
    from cgrseg.weights import open_weights

    model, described = open_weights(weights)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    report = {"weights": weights, "parameters": parameters} | as_tree(described)
    click.echo(describe(report))
    options.write_json(json_file, report)


def describe(report: dict) -> str:
    """The report for people: YAML, with what is long counted instead of listed."""
    trained = {"steps": report["step"], "pictures": len(report["trained_on"]), "recipe": report["recipe"]}
    tree = {
        "weights": report["weights"],
        "parameters": f"{report['parameters']:,}",
        "model": report["model"],
        "inference": report["inference"],
        "classes": report["classes"]["names"],
        "scores": report["scores"],
        "trained": trained if report["recipe"] else "elsewhere",
    }
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=100).rstrip()

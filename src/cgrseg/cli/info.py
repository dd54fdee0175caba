"""`cgrseg info`: what a weights file holds."""

from pathlib import Path

import click
import yaml

from cgrseg.cli import options
from cgrseg.config import ModelConfig, idle_settings
from cgrseg.config.parsing import as_tree


@click.command(epilog="\b\nExample:\n  cgrseg info cgrseg-lite-everyday")
@click.argument("weights")
@options.as_json
def info(weights: str, json_file: Path | None) -> None:
    """Tell what is in WEIGHTS or in an export. Network, classes, scores, and the recipe they were trained by."""
    from cgrseg.runtime import is_graph, open_graph
    from cgrseg.weights import open_weights

    described = open_graph(Path(weights))[1] if is_graph(weights) else open_weights(weights)[1]
    report = {"weights": weights, "parameters": count_parameters(described.model)} | as_tree(described)
    click.echo(describe(report))
    options.write_report(json_file, report)


def count_parameters(config: ModelConfig) -> int:
    """Those of the network before it was folded or quantized."""
    import torch

    from cgrseg.model import build_model

    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(config).parameters())


def describe(report: dict) -> str:
    """The report for people: YAML, with what is long counted instead of listed."""
    idle = idle_settings(report["model"]["size"])
    trained = {"steps": report["step"], "pictures": len(report["trained_on"]), "recipe": report["recipe"]}
    tree = {
        "weights": report["weights"],
        "parameters": f"{report['parameters']:,}",
        "model": {key: value for key, value in report["model"].items() if key not in idle},
        "inference": report["inference"],
        "classes": report["classes"]["names"],
        "scores": report["scores"],
        "levels": report["levels"] or "those of the file",
        "temperature": report["temperature"],
        "trained": trained if report["recipe"] else "elsewhere",
    }
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=100).rstrip()

"""From weights of any kind to a segmenter."""

from pathlib import Path

from cgrseg.inference import Protocol, ProtocolName, choose_protocol
from cgrseg.prediction.segmenter import Segmenter
from cgrseg.runtime import EngineName, is_graph, open_engine, open_graph
from cgrseg.weights import open_weights, with_classes


def load(
    source: str | Path,
    *,
    engine: EngineName = "auto",
    device: str = "cpu",
    threads: int | None = None,
    classes: str | tuple[str, ...] | None = None,
    protocol: ProtocolName | Protocol = "whole",
    paper_exact: bool = False,
) -> Segmenter:
    """A segmenter from weights, or from what `cgrseg export` made of them.

    Args:
        source: a bundled name such as `cgrseg-lite-everyday`, a `.safetensors` file, an authors' `.pth` file or a hub
            id; or an exported `.onnx` or `.xml` file.
        engine: what runs the network; `auto` takes the fastest that is installed.
        device: `cpu`, `cuda` or `cuda:1`.
        threads: of a CPU; as many as the engine likes unless given.
        classes: a published table such as `ade20k`, or names, for weights that carry none.
        protocol: how a picture is shown to the network: `whole`, `sliding`, `multi-scale`, or a `Protocol` of yours.
        paper_exact: go by the two steps of the authors' code from logits to labels.

    Raises:
        CGRSegError: there is no such protocol or engine.
        CheckpointError: the weights cannot be read, or predict another number of classes.
    """
    if is_graph(source):
        opened, info = open_graph(Path(source), engine=engine, device=device, threads=threads)
        info = with_classes(info, classes, Path(source).name)
    else:
        model, info = open_weights(source, classes)
        opened = open_engine(model, engine=engine, device=device, threads=threads)
    chosen = choose_protocol(protocol, info, paper_exact=paper_exact)
    return Segmenter(opened, info, str(source), threads or 1, chosen)

"""How many labels change when images share calls of an engine: those of each batch size against one at a time.

    CGRSEG_AUTO=torch python benchmarks/batches.py camvid=path/to/CamVid [--engine torch] [--batches 2 8]

The val split, by the bundled weights. Engines sum in another order for another batch, so logits differ in their last
bits, and a label changes where two classes are equal to the last bit.
"""

import argparse
from pathlib import Path

import cgrseg
from cgrseg.evaluation.evaluate import pass_over
from cgrseg.predictor import Segmentation
from cgrseg.types import LabelMap


def take_labels(truth: LabelMap, answer: Segmentation) -> LabelMap:  # noqa: ARG001  one of many measures
    """The labels alone."""
    return answer.labels


def main() -> None:
    """Print a line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8])
    options = parser.parse_args()
    kind, _, path = options.data.partition("=")
    segmenter = cgrseg.load("cgrseg-t-camvid", engine=options.engine)
    dataset = cgrseg.open_dataset(kind, Path(path), "val", classes=segmenter.classes)
    alone = list(pass_over(segmenter, dataset, take_labels))
    pixels = sum(labels.size for labels in alone)
    for batch in options.batches:
        answers = pass_over(segmenter, dataset, take_labels, batch=batch)
        changed = sum(int((one != other).sum()) for one, other in zip(alone, answers, strict=True))
        print(f"{options.engine}, batch {batch}: {changed} of {pixels} labels differ, {1 - changed / pixels:.5%} agree")


if __name__ == "__main__":
    main()

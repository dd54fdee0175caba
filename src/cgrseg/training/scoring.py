"""Evaluation by all processes of a run: each scores some of the pictures, and exact counts add up."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from cgrseg.data.datasets import LabelledImages
from cgrseg.evaluation import Evaluation, evaluate
from cgrseg.metrics import scores
from cgrseg.metrics.resampling import Areas
from cgrseg.prediction import Segmenter
from cgrseg.training.world import World


def evaluate_together(
    segmenter: Segmenter, dataset: LabelledImages, world: World, on_progress: Callable[[int, int], None]
) -> Evaluation:
    """The scores on all pictures, each of which one process looks at; every process gets the same.

    Args:
        segmenter: this process's.
        dataset: all pictures.
        world: the processes.
        on_progress: called with the number of pictures that this process has done, and of those it does.
    """
    place = world.part(len(dataset))
    part = replace(dataset, pairs=dataset.pairs[place])
    own = evaluate(segmenter, part, lambda done: on_progress(done, len(part)))

    def total(counts: np.ndarray) -> np.ndarray:
        return world.sum(torch.from_numpy(counts).to(world.device)).cpu().numpy()

    areas = []
    for counts in (own.areas.hits, own.areas.unions):
        whole = np.zeros((len(dataset), counts.shape[1]), np.int64)
        whole[place] = counts
        areas.append(total(whole))
    assert own.sources is not None
    matrices, allowed = total(own.sources.matrices), total(own.sources.allowed)
    matrix = matrices.sum(axis=0)
    return replace(
        own,
        scores=scores(matrix, allowed.sum(axis=0)),
        matrix=matrix,
        areas=Areas(*areas),
        names=tuple(pair.name for pair in dataset.pairs),
        sources=replace(own.sources, matrices=matrices, allowed=allowed),
    )

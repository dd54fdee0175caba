"""Evaluation by all processes of a run: each scores some of the images, and exact counts add up.

The training loop.

    recipe, images -- batch -- Stepper: loss, gradient, AdamW, average
                          every n steps:  average -- evaluation -- best.safetensors, last.safetensors
                          then, and when asked to stop:  states/

The sample at (step, place in the batch) depends on the seed alone, so resuming is starting at a later step.
"""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from cgrseg.config import Recipe
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.loader import Share, training_batches
from cgrseg.data.sampling import repeat_factors
from cgrseg.errors import RunStopped
from cgrseg.evaluation import Evaluation, evaluate
from cgrseg.metrics import scores
from cgrseg.metrics.bootstrap import Areas
from cgrseg.predictor import Segmenter
from cgrseg.runtime import TorchEngine
from cgrseg.training.checkpoint import Identity, TrainState, save_state
from cgrseg.training.curves import draw_curves
from cgrseg.training.distributed import World
from cgrseg.training.loggers import Evaluated, EventLog, Kept, Pace, Scored, Scoring, Stepped, Stopped, write_table
from cgrseg.training.losses import WEIGHT_POWERS, label_weights, log_weights
from cgrseg.training.monitor import Guards
from cgrseg.training.step import Stepper
from cgrseg.weights import WeightsInfo, save_weights


def evaluate_together(
    segmenter: Segmenter, dataset: LabelledImages, world: World, on_progress: Callable[[int, int], None]
) -> Evaluation:
    """The scores on all images, each of which one process looks at; every process gets the same.

    Args:
        segmenter: this process's.
        dataset: all images.
        world: the processes.
        on_progress: called with the number of images that this process has done, and of those it does.
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


class Run:
    """One run: steps, evaluations and checkpoints until the recipe's last step, in one of its processes."""

    def __init__(
        self,
        recipe: Recipe,
        state: TrainState,
        splits: tuple[LabelledImages, LabelledImages],
        log: EventLog,
        world: World,
        about: Identity,
    ) -> None:
        self.recipe, self.config, self.state, self.log, self.world = recipe, recipe.train, state, log, world
        self.images, self.held_out = splits
        self.output = log.path.parent
        self.about = about
        self.stepper = Stepper(state, self.config, world, self._label_weights(), self.images.sets)
        self.guards = Guards(recipe, self.images)

    def go(self) -> None:
        """From the state's step to the recipe's last, or until patience is at its end.

        Raises:
            RunStopped: the log was asked to; the state is saved.
        """
        config, progress = self.config, self.state.progress
        self._tell(*self.guards.look_at_processor(self.world.device.type, progress.step))
        if self._is_evaluation_due() and progress.scored < progress.step:
            self._score()  # the run was stopped in the middle of this evaluation
        if self._is_stale():
            return
        pace = Pace(config)
        for batch in training_batches(self.images, self.recipe.data, self._share(), self._repeat_factors()):
            pace.data_ready()
            taken = self.stepper.take(batch)
            speed, waiting = pace.step_done()
            stepped = Stepped(step=progress.step, **asdict(taken), pictures_per_s=speed, data_share=waiting)
            self._tell(stepped, *self.guards.look(batch, stepped))
            if self.world.any(self.log.asked_to_stop):
                self._save()
                raise RunStopped(self.output, progress.step)
            if self._is_evaluation_due():
                self._score()
                pace.pause_done()
            elif config.save_every and progress.step % config.save_every == 0:
                self._save()
            if self._is_stale():
                self.log(Stopped(step=progress.step, patience=progress.stale, best=progress.best))
                break

    def _label_weights(self) -> Float[Tensor, " 256"]:
        """The weight of each label in the loss."""
        weights = None
        if self.config.class_weights != "none":
            shares = self._looked_up(self.images.class_shares, len(self.images.classes))
            weights = log_weights(shares, WEIGHT_POWERS[self.config.class_weights])
        return label_weights(len(self.images.classes), weights, self.images.sets)

    def _repeat_factors(self) -> Float64[np.ndarray, "p"] | None:
        """How often each image comes in a pass; none where all come once."""
        threshold = self.recipe.data.repeat_rare
        if not threshold:
            return None
        return self._looked_up(lambda: repeat_factors(self.images, threshold), len(self.images))

    def _looked_up(self, look: Callable[[], Float64[np.ndarray, "n"]], count: int) -> Float64[np.ndarray, "n"]:
        """So many numbers that the labels of all images give; the first process looks at them for all."""
        found = torch.from_numpy(look()) if self.world.is_first else torch.zeros(count).double()
        return self.world.sum(found.to(self.world.device)).cpu().numpy()

    def _share(self) -> Share:
        config = self.config
        places = self.world.part(config.batch_size)
        steps = range(self.state.progress.step, config.steps)
        return Share(batch_size=config.batch_size, seed=config.seed, steps=steps, positions=places)

    def _is_evaluation_due(self) -> bool:
        step = self.state.progress.step
        return step == self.config.steps or (step > 0 and step % self.config.eval_every == 0)

    def _is_stale(self) -> bool:
        """Whether too many evaluations in a row were no better than the best, with steps left to take."""
        patience, progress = self.config.patience, self.state.progress
        return patience is not None and progress.stale >= patience and progress.step < self.config.steps

    def _tell(self, *events: Kept) -> None:
        for event in events:
            self.log(event)

    def _score(self) -> None:
        """Evaluate, write the weights, then the state: a crash in between repeats steps and loses none."""
        progress = self.state.progress
        segmenter = Segmenter(TorchEngine(self.state.evaluated, device=str(self.world.device)), self._describe({}))
        evaluation = evaluate_together(segmenter, self.held_out, self.world, self._scoring)
        is_best = evaluation.headline > progress.best
        progress.best, progress.stale = max(progress.best, evaluation.headline), 0 if is_best else progress.stale + 1
        progress.scored = progress.step
        if self.world.is_first:
            info = self._describe(told_scores(evaluation))
            for name in ("best", "last") if is_best else ("last",):
                save_weights(self.output / f"{name}.safetensors", self.state.evaluated, info)
        step = progress.step
        self.log(Evaluated(step=step, evaluation=evaluation, segmenter=segmenter, held_out=self.held_out))
        self.log(scored(evaluation, step, is_best))
        self._save()
        if self.world.is_first:
            write_table(self.output)
            draw_curves(self.output)

    def _scoring(self, done: int, images: int) -> None:
        """An evaluation may take long: one that is asked to stop is begun again at the next start.

        No process waits for the others here, which may be anywhere in theirs.
        """
        self.log(Scoring(done=done, images=images))
        if self.log.asked_to_stop:
            if self.world.is_first:
                self._write_state()
            raise RunStopped(self.output, self.state.progress.step)

    def _save(self) -> None:
        """The first process writes the state, and the others wait until it is on the disk."""
        if self.world.is_first:
            self._write_state()
        self.world.wait()

    def _write_state(self) -> None:
        states = self.output / "states"
        save_state(states, self.state, self.about.as_tree())
        self._tell(*self.guards.look_at_disk(states, self.state.progress.step))

    def _describe(self, scores: dict[str, float]) -> WeightsInfo:
        """What the weights of this moment say about themselves."""
        return WeightsInfo(
            model=self.recipe.model,
            classes=self.images.classes,
            inference=self.recipe.inference,
            recipe=self.recipe,
            scores=scores,
            step=self.state.progress.step,
            trained_on=self.about.images,
        )


def scored(evaluation: Evaluation, step: int, best: bool) -> Scored:
    """The event of an evaluation."""
    scores = evaluation.scores
    return Scored(
        step=step,
        split=evaluation.split,
        miou=scores.miou,
        pixel_accuracy=scores.pixel_accuracy,
        iou=dict(zip(evaluation.classes.names, scores.iou, strict=True)),
        best=best,
        headline=evaluation.headline,
        by_source={
            name: {"miou": found.miou_of_true, "pixel_accuracy": found.pixel_accuracy}
            for name, found in evaluation.by_source().items()
        },
    )


def told_scores(evaluation: Evaluation) -> dict[str, float]:
    """The scores that weights carry: mIoU; of a mixture also the mean over the sources, and that of each."""
    split, means = evaluation.split, evaluation.source_means()
    told = {f"{split}/miou": evaluation.scores.miou}
    if means is None:
        return told
    told |= {f"{split}/source_mean/miou": means.miou, f"{split}/source_mean/pixel_accuracy": means.pixel_accuracy}
    return told | {f"{split}/{name}/miou": found.miou_of_true for name, found in evaluation.by_source().items()}

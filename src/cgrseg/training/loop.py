"""The training loop: steps, evaluations and checkpoints until the recipe's last step.

    recipe, images -- batch -- Stepper: loss, gradient, AdamW, moving average
                               every n steps: moving average -- evaluation -- best.safetensors, last.safetensors
                               then, and when asked to stop: checkpoint in states/

The sample at (step, index in the batch) depends on the seed alone, so resuming is starting at a later step. Each
process evaluates its shard of the held-out images; the counts are exact integers and are summed over the processes.
"""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from cgrseg.config import Levels, Recipe
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.loader import Share, repeat_factors, training_batches
from cgrseg.errors import CheckpointError, RunStopped, TrainingError
from cgrseg.evaluation import Evaluation, evaluate_part, require_labels
from cgrseg.metrics import scores
from cgrseg.metrics.bootstrap import Areas
from cgrseg.predictor import Segmenter
from cgrseg.runtime import TorchEngine
from cgrseg.training.checkpoint import Identity, TrainState, save_checkpoint
from cgrseg.training.distributed import Processes
from cgrseg.training.events import Evaluated, EventLog, Kept, Scored, Scoring, Stepped, Stopped
from cgrseg.training.loggers import draw_curves, write_table
from cgrseg.training.losses import WEIGHT_POWERS, label_weights, log_weights
from cgrseg.training.monitor import Monitor, Throughput
from cgrseg.training.step import Stepper
from cgrseg.weights import WeightsInfo, save_weights


def evaluate_distributed(
    segmenter: Segmenter, dataset: LabelledImages, processes: Processes, on_progress: Callable[[int, int], None]
) -> Evaluation:
    """Evaluate on all images, each in one of the processes; every process gets the same result.

    Args:
        segmenter: of this process.
        dataset: all images.
        processes: of the run.
        on_progress: called with the number of images done and of all images, both of this process's shard.

    Raises:
        DatasetError: no pixel of all images has a label.
    """
    shard = processes.shard(len(dataset))
    part = replace(dataset, pairs=dataset.pairs[shard])
    own = evaluate_part(segmenter, part, on_progress)

    def total(counts: np.ndarray) -> np.ndarray:
        return processes.all_reduce(torch.from_numpy(counts).to(processes.device)).cpu().numpy()

    areas = []
    for counts in (own.areas.hits, own.areas.unions):
        whole = np.zeros((len(dataset), counts.shape[1]), np.int64)
        whole[shard] = counts
        areas.append(total(whole))
    assert own.sources is not None
    matrices, allowed = total(own.sources.matrices), total(own.sources.allowed)
    matrix = matrices.sum(axis=0)
    whole = replace(
        own,
        scores=scores(matrix, allowed.sum(axis=0)),
        matrix=matrix,
        areas=Areas(*areas),
        images_of_class=total(own.images_of_class),
        names=tuple(pair.name for pair in dataset.pairs),
        sources=replace(own.sources, matrices=matrices, allowed=allowed),
    )
    require_labels(whole)  # only now: an error of one process alone would leave the others waiting
    return whole


class TrainingLoop:
    """Runs steps, evaluations and checkpoints in one of the processes.

    Args:
        recipe: the resolved recipe.
        state: to train, new or restored.
        splits: images to train on, and images to evaluate on.
        log: receives every event; its folder is that of the run.
        processes: of the run.
        identity: stored in every checkpoint.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: TrainState,
        splits: tuple[LabelledImages, LabelledImages],
        log: EventLog,
        processes: Processes,
        identity: Identity,
    ) -> None:
        self.recipe, self.config, self.state, self.log, self.processes = recipe, recipe.train, state, log, processes
        self.images, self.held_out = splits
        self.output = log.path.parent
        self.identity = identity
        self.stepper = Stepper(state, self.config, processes, self._label_weights(), self.images.sets)
        self.monitor = Monitor(recipe, self.images)

    def run(self) -> None:
        """Train from the state's step to the recipe's last one, or until the score stops improving.

        Raises:
            TrainingError: the loss or an evaluation is not finite, or a checkpoint could not be written.
            RunStopped: a watcher asked for it; the checkpoint is saved.
        """
        config, progress = self.config, self.state.progress
        self._log(*self.monitor.check_processor(self.processes.device.type, progress.step))
        if self._is_evaluation_due() and progress.scored < progress.step:
            self._evaluate()  # the run stopped in the middle of this evaluation
        if self._is_stale():
            return
        throughput = Throughput(config)
        for batch in training_batches(self.images, self.recipe.data, self._share(), self._repeat_factors()):
            throughput.data_ready()
            result = self.stepper.step(batch)
            images_per_s, data_share = throughput.step_done()
            stepped = Stepped(step=progress.step, **asdict(result), pictures_per_s=images_per_s, data_share=data_share)
            self._log(stepped, *self.monitor.after_step(batch, stepped))
            if self.processes.any(self.log.asked_to_stop):
                self._save()
                raise RunStopped(self.output, progress.step)
            if self._is_evaluation_due():
                self._evaluate()
                throughput.pause_done()
            elif config.save_every and progress.step % config.save_every == 0:
                self._save()
            if self._is_stale():
                self.log(Stopped(step=progress.step, patience=progress.stale, best=progress.best))
                break

    def _label_weights(self) -> Float[Tensor, " 256"]:
        """The weight of each label in the loss."""
        weights = None
        if self.config.class_weights != "none":
            shares = self._on_rank_0(self.images.class_shares, len(self.images.classes))
            weights = log_weights(shares, WEIGHT_POWERS[self.config.class_weights])
        return label_weights(len(self.images.classes), weights, self.images.sets)

    def _repeat_factors(self) -> Float64[np.ndarray, "p"] | None:
        """How often each image is drawn per epoch; None if every image is drawn once."""
        threshold = self.recipe.data.repeat_rare
        if not threshold:
            return None
        return self._on_rank_0(lambda: repeat_factors(self.images, threshold), len(self.images))

    def _on_rank_0(self, compute: Callable[[], Float64[np.ndarray, "n"]], count: int) -> Float64[np.ndarray, "n"]:
        """The `count` numbers that rank 0 computes from the labels of all images, in every process."""
        numbers = torch.from_numpy(compute()) if self.processes.is_first else torch.zeros(count).double()
        return self.processes.all_reduce(numbers.to(self.processes.device)).cpu().numpy()

    def _share(self) -> Share:
        config = self.config
        shard = self.processes.shard(config.batch_size)
        steps = range(self.state.progress.step, config.steps)
        return Share(batch_size=config.batch_size, seed=config.seed, steps=steps, positions=shard)

    def _is_evaluation_due(self) -> bool:
        step = self.state.progress.step
        return step == self.config.steps or (step > 0 and step % self.config.eval_every == 0)

    def _is_stale(self) -> bool:
        """Whether `train.patience` evaluations in a row were no better than the best, with steps left to take."""
        limit, progress = self.config.patience, self.state.progress
        return limit is not None and progress.stale >= limit and progress.step < self.config.steps

    def _log(self, *events: Kept) -> None:
        for event in events:
            self.log(event)

    def _evaluate(self) -> None:
        """Evaluate, write the weights, then the checkpoint: a crash in between repeats steps and loses none."""
        progress = self.state.progress
        segmenter = Segmenter(TorchEngine(self.state.evaluated, device=str(self.processes.device)), self._info({}))
        try:
            evaluation = evaluate_distributed(segmenter, self.held_out, self.processes, self._on_progress)
        except CheckpointError:
            raise TrainingError(
                f"the output of the network holds NaN or infinity after step {progress.step}; nothing was overwritten",
                advice="try a smaller train.lr or train.clip_norm=1",
            ) from None
        is_best = evaluation.headline > progress.best
        progress.best, progress.stale = max(progress.best, evaluation.headline), 0 if is_best else progress.stale + 1
        progress.scored = progress.step
        if self.processes.is_first:
            info = self._info(weights_scores(evaluation))
            for name in ("best", "last") if is_best else ("last",):
                save_weights(self.output / f"{name}.safetensors", self.state.evaluated, info)
        step = progress.step
        self.log(Evaluated(step=step, evaluation=evaluation, segmenter=segmenter, held_out=self.held_out))
        self.log(scored_event(evaluation, step, is_best))
        self._save()
        if self.processes.is_first:
            write_table(self.output)
            draw_curves(self.output)

    def _on_progress(self, done: int, total: int) -> None:
        """Log the progress of an evaluation, and stop in the middle if asked to; resuming repeats the evaluation.

        This must not wait for the other processes, which are at other points of their evaluation.
        """
        self.log(Scoring(done=done, images=total))
        if self.log.asked_to_stop:
            if self.processes.is_first:
                self._write_checkpoint()
            raise RunStopped(self.output, self.state.progress.step)

    def _save(self) -> None:
        """Write a checkpoint in rank 0 while the other processes wait."""
        if self.processes.is_first:
            self._write_checkpoint()
        self.processes.barrier()

    def _write_checkpoint(self) -> None:
        states = self.output / "states"
        save_checkpoint(states, self.state, self.identity.as_tree())
        self._log(*self.monitor.check_disk(states, self.state.progress.step))

    def _info(self, scores: dict[str, float]) -> WeightsInfo:
        """The metadata to save with the current weights."""
        return WeightsInfo(
            model=self.recipe.model,
            classes=self.images.classes,
            inference=self.recipe.inference,
            levels=levels_of(self.recipe),
            recipe=self.recipe,
            scores=scores,
            step=self.state.progress.step,
            trained_on=self.identity.images,
        )


def levels_of(recipe: Recipe) -> Levels | None:
    """The black and white that weights of a recipe take where they know of none; those of its sources, if equal."""
    if not recipe.sources:
        return recipe.data.levels
    levels = {source.levels for source in recipe.sources.values() if source.levels}
    return levels.pop() if len(levels) == 1 else None


def scored_event(evaluation: Evaluation, step: int, best: bool) -> Scored:
    """The `Scored` event of an evaluation."""
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
            name: {"miou": source.miou_of_true, "pixel_accuracy": source.pixel_accuracy}
            for name, source in evaluation.by_source().items()
        },
    )


def weights_scores(evaluation: Evaluation) -> dict[str, float]:
    """The scores to save with weights: mIoU; for a mixture also the mean over its sources and the mIoU of each one."""
    split, means = evaluation.split, evaluation.source_means()
    values = {f"{split}/miou": evaluation.scores.miou}
    if means is None:
        return values
    values |= {f"{split}/source_mean/miou": means.miou, f"{split}/source_mean/pixel_accuracy": means.pixel_accuracy}
    return values | {f"{split}/{name}/miou": source.miou_of_true for name, source in evaluation.by_source().items()}

"""The training loop.

    recipe, pictures -- batch -- network -- loss -- gradient -- AdamW -- average
                          every n steps:  average -- evaluation -- best.safetensors, last.safetensors, state.pt

The sample at (step, place in the batch) depends on the seed alone, so resuming is starting at a later step.
"""

import math
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from torch import Tensor, nn

from cgrseg.classes import ClassTable
from cgrseg.config import Recipe
from cgrseg.data.check import require_sound
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.loader import Batch, training_batches
from cgrseg.errors import DatasetError, TrainingError
from cgrseg.evaluation import Evaluation, evaluate
from cgrseg.model import CGRSeg, build_model
from cgrseg.prediction import Segmenter
from cgrseg.recipes import as_tree, checked
from cgrseg.runtime import TorchEngine, require_device
from cgrseg.training.log import EventLog, Pace, Scored, Started, Stepped, Watcher
from cgrseg.training.losses import log_weights, segmentation_loss
from cgrseg.training.optim import MovingAverage, parameter_groups, set_rate
from cgrseg.training.start import settle_start
from cgrseg.training.state import TrainState, load_state, save_state
from cgrseg.weights import WeightsInfo, open_weights, save_weights, start_from

SEED_STRIDE = 1_000_003
"""Keeps the random numbers of the network (dropout) at one step of one seed apart from those of all others."""


def train(
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    watch: Watcher | None = None,
) -> Path:
    """Train a network and write its weights and its log into a folder.

    Args:
        recipe: all settings.
        data: where the files of the recipe's kind of data set are.
        output: the run's folder: recipe.yaml, log.jsonl, best.safetensors, last.safetensors and state.pt.
        init: weights to start from; classifier rows of classes of the same name are kept, others drawn anew.
        resume: go on with the run that the folder holds.
        device: `cpu`, `cuda` or `cuda:1`.
        watch: called with every event, for a live display.

    Returns:
        The weights with the best score.

    Raises:
        RecipeError: a setting is out of its range.
        CheckpointError: the weights to start from are not there, or do not fit.
        DatasetError: a look at a few pairs of each split found an error.
        TrainingError: the folder holds a run already (or none, with `resume`), or the loss is not finite.
    """
    recipe = checked(recipe)
    if not resume and (output / "log.jsonl").exists():
        raise TrainingError(
            f"{output} already holds a run; add --resume to continue it or choose another folder with -o"
        )
    pictures, held_out = open_splits(recipe, data)
    require_sound((pictures, held_out), data)
    recipe = replace(recipe, model=replace(recipe.model, classes=len(pictures.classes)))
    torch.manual_seed(recipe.train.seed)
    model = build_model(recipe.model)
    drawn_anew = _start(model, pictures.classes, init)
    recipe = settle_start(model, recipe, init=init, begun=output if resume else None)
    state = new_state(model.to(require_device(device)), recipe)
    if resume:
        load_state(output / "state.pt", state)
    output.mkdir(parents=True, exist_ok=True)
    (output / "recipe.yaml").write_text(yaml.safe_dump(as_tree(recipe), sort_keys=False), encoding="utf-8")
    started = Started(
        step=state.step,
        steps=recipe.train.steps,
        pictures=len(pictures),
        classes=pictures.classes.names,
        drawn_anew=drawn_anew,
        start=recipe.start,
    )
    with EventLog(output / "log.jsonl", watch) as log:
        log(started)
        Run(recipe, state, pictures, held_out, output, log).go()
    return output / "best.safetensors"


def open_splits(recipe: Recipe, data: Path) -> tuple[LabelledImages, LabelledImages]:
    """The pictures to learn from and those to score on: the held-out ones if the recipe holds any out, else `val`."""
    kind, hold_out, merge = recipe.data.kind, recipe.data.hold_out, recipe.data.merge
    scored = "holdout" if hold_out else "val"
    pictures, held_out = (open_dataset(kind, data, split, hold_out, merge=merge) for split in ("train", scored))
    if pictures.classes.names != held_out.classes.names:
        raise DatasetError(f"{data}: the classes of train and {scored} differ; write classes.txt there to settle them")
    return pictures, held_out


def _start(model: CGRSeg, classes: ClassTable, init: str | Path | None) -> tuple[str, ...]:
    if init is None:
        return ()
    given, info = open_weights(init)
    return start_from(model, classes, given.state_dict(), info.classes, str(init))


def new_state(model: CGRSeg, recipe: Recipe) -> TrainState:
    """The state before the first step."""
    config = recipe.train
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=config.lr, betas=config.betas, fused=True)
    average = MovingAverage(model, config.ema) if config.ema else None
    return TrainState(model, optimizer, average)


class Run:
    """One run: steps, evaluations and checkpoints until the recipe's last step."""

    def __init__(
        self,
        recipe: Recipe,
        state: TrainState,
        pictures: LabelledImages,
        held_out: LabelledImages,
        output: Path,
        log: EventLog,
    ) -> None:
        self.recipe, self.config, self.state = recipe, recipe.train, state
        self.pictures, self.held_out, self.output, self.log = pictures, held_out, output, log
        self.network: nn.Module = state.model
        if self.config.compile:
            self.network = torch.compile(state.model, dynamic=False)  # type: ignore[assignment]
        weigh = self.config.class_weights == "log"
        self.device = next(state.model.parameters()).device
        self.class_weights = log_weights(pictures.class_shares()).to(self.device) if weigh else None
        self.trained_on = pictures.fingerprints()

    def go(self) -> None:
        """From the state's step to the recipe's last."""
        batches = training_batches(
            self.pictures,
            self.recipe.data,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            first_step=self.state.step,
            last_step=self.config.steps,
        )
        pace = Pace(self.config)
        for batch in batches:
            pace.data_ready()
            loss, rate = self.step(batch)
            speed, waiting = pace.step_done()
            self.log(Stepped(step=self.state.step, loss=loss, lr=rate, pictures_per_s=speed, data_share=waiting))
            if self.state.step % self.config.eval_every == 0 or self.state.step == self.config.steps:
                self.score()
                pace.pause_done()

    def step(self, batch: Batch) -> tuple[float, float]:
        """One optimizer step; gives the loss and the learning rate."""
        state, config = self.state, self.config
        torch.manual_seed(config.seed * SEED_STRIDE + batch.step)
        rate = set_rate(state.optimizer, batch.step, config)
        loss = self.loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            names = ", ".join(batch.names)
            raise TrainingError(
                f"the loss is {value} at step {batch.step}, on {names}; nothing was overwritten, "
                f"the last checkpoint is in {self.output}; try a smaller train.lr or set train.clip_norm"
            )
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(state.model.parameters(), config.clip_norm)
        state.optimizer.step()
        if state.average:
            state.average.update(state.model, batch.step)
        state.step = batch.step + 1
        return value, rate

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, in the recipe's precision and memory layout."""
        self.state.model.train()
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        images = batch.images.to(self.device, memory_format=layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            logits = self.network(images)
        return segmentation_loss(logits, batch.labels.to(self.device), self.class_weights)

    def score(self) -> None:
        """Evaluate, and write the weights, then the state: a crash in between repeats steps and loses none."""
        state = self.state
        info = self.describe({})
        evaluation = evaluate(Segmenter(TorchEngine(state.evaluated, device=str(self.device)), info), self.held_out)
        best = evaluation.scores.miou > state.best
        state.best = max(state.best, evaluation.scores.miou)
        info = self.describe({f"{self.held_out.split}/miou": evaluation.scores.miou})
        for name in ("best", "last") if best else ("last",):
            save_weights(self.output / f"{name}.safetensors", state.evaluated, info)
        save_state(self.output / "state.pt", state)
        self.log(scored(evaluation, state.step, best))

    def describe(self, scores: dict[str, float]) -> WeightsInfo:
        """What the weights of this moment say about themselves."""
        return WeightsInfo(
            model=self.recipe.model,
            classes=self.pictures.classes,
            inference=self.recipe.inference,
            recipe=self.recipe,
            scores=scores,
            step=self.state.step,
            trained_on=self.trained_on,
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
    )

"""The paper's ablations and this project's own ideas on one footing: small, from scratch, three seeds each.

    OMP_NUM_THREADS=1 python benchmarks/ablations.py CamVid [--names rca lovasz ...] [--seeds 0 1 2] [--json FILE]

Every network is size T for CamVid's classes and learns from the frames of `train` but those of the drive 0006R0, at
192 x 256, about half their size: the same crops in the same order, 500 steps of 4, the same loss, rate and average.
It is scored on all of 0006R0. Runs whose scores are in FILE are not repeated, so the command goes on where it was
stopped; it prints the table in any case. Differences that such short runs show are those of learning fast, not of
learning long.

    rca          CGRSeg-T as it is
    attention    self-attention over all places instead of RCA, in every RCM
    convnext     a depthwise 7 x 7 convolution instead of RCA, in every RCM
    no strips    RCA whose row and column means go to the sigmoid as they are
    no dpg       a classifier (dropout, 1x1) instead of the Dynamic Prototype Guided head
    segformer    SegFormer-B0 (transformers)
    lovasz       rca, with 0.5 of the Lovász-softmax loss beside cross-entropy
    even         rca, all classes weighing the same
    soft         rca, class weights halfway between: the roots of rca's
    plain        rca, without photometric distortion
    steady       rca, scale 0.9 .. 1.1 instead of 0.6 .. 1.6
    mean         rca, the talking heads' bias weighing the mean of the values instead of their sum
    guess        rca, with 0.4 of the cross-entropy of the head's guess beside that of its answer
    rca long     rca for 1,500 steps
    paste long   rca long, half of the crops with the small things of another crop pasted in (ClassMix of rare classes)

Every network is also scored at 1.5 and 2 times the size of its frames in training.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cgrseg.benchmarking.baselines import open_baseline
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, PRESETS, DataConfig, InferenceConfig, ModelConfig, TrainConfig
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.images import resize_image
from cgrseg.data.loader import Batch, Share, training_batches
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.metrics import confusion, scores
from cgrseg.model import build_model
from cgrseg.model.rcm import RCA, RCM
from cgrseg.training.losses import WEIGHT_POWERS, label_weights, log_weights, segmentation_loss
from cgrseg.training.optim import MovingAverage, parameter_groups, set_rate

MODEL = ModelConfig(size="t", classes=11, **PRESETS["from_scratch"] | {"talk_bias": "sum"})
SMALL_THINGS = (2, 6, 8, 9, 10)
"""Pole, signsymbol, car, pedestrian, bicyclist: what `paste` takes from other crops."""
LARGER = (1.5, 2.0)
"""Sizes beside that of training at which networks are scored."""
HEAD_WIDTH = 32
"""Channels of one head of the self-attention."""


class SelfAttention(nn.Module):
    """Every place looks at all others: the mixer that RCA is compared with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD_WIDTH)
        while channels % self.heads:
            self.heads -= 1
        self.project, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        split = self.project(x).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(-1, -2)
        query, key, value = split.unbind(1)  # (b, heads, hw, d)
        sums = F.scaled_dot_product_attention(query, key, value)
        return self.out(sums.transpose(-1, -2).flatten(1, 2).unflatten(2, x.shape[2:]))


class PlainHead(nn.Module):
    """A classifier on the features, without prototypes."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1))

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b k h w"]:
        return self.layers(x)


class Logits(nn.Module):
    """What a network of `transformers` answers, as a tensor."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b k h w"]:
        return self.network(x).logits


def mixed_by(mixer: Callable[[int], nn.Module]) -> Callable[[], nn.Module]:
    """CGRSeg-T with another mixer in every RCM."""

    def build() -> nn.Module:
        model = build_model(MODEL)
        for module in model.modules():
            if isinstance(module, RCM):
                module.attention = mixer(module.norm.num_features)  # type: ignore[assignment]
        return model

    return build


def without_strips(channels: int) -> nn.Module:
    """RCA whose region goes to the sigmoid as it is."""
    attention = RCA(channels)
    attention.calibrate = nn.Sequential(nn.Sigmoid())
    return attention


def without_prototypes() -> nn.Module:
    """CGRSeg-T with a plain classifier."""
    model = build_model(MODEL)
    model.head = PlainHead(model.head.classifier.in_channels, MODEL.classes)
    return model


def segformer() -> nn.Module:
    """SegFormer-B0 with random weights."""
    segformer = open_baseline("segformer-b0", MODEL, InferenceConfig())
    return Logits(segformer.build())


@dataclass(frozen=True)
class Trial:
    """What is learnt, and how."""

    build: Callable[[], nn.Module]
    data: DataConfig
    train: TrainConfig
    guess: float = 0.0
    """Factor of the cross-entropy of the head's guess."""
    paste: float = 0.0
    """Probability that a crop gets the small things of another one of its batch."""


DATA = DataConfig(
    kind="camvid", hold_out="0006R0", fit_px=(192, 2048), scale=(0.6, 1.6), crops_px=((160, 224),), workers=0
)
TRAIN = TrainConfig(
    steps=500,
    batch_size=4,
    lr=1e-3,
    weight_decay=0.05,
    groups="matrices",
    warmup_steps=50,
    class_weights="log",
    ema=0.99,
)
LONG = replace(TRAIN, steps=1_500, warmup_steps=100, ema=0.995)
RCA_TRIAL = Trial(lambda: build_model(MODEL), DATA, TRAIN)
TRIALS = {
    "rca": RCA_TRIAL,
    "attention": replace(RCA_TRIAL, build=mixed_by(SelfAttention)),
    "convnext": replace(
        RCA_TRIAL, build=mixed_by(lambda channels: nn.Conv2d(channels, channels, 7, 1, 3, groups=channels))
    ),
    "no strips": replace(RCA_TRIAL, build=mixed_by(without_strips)),
    "no dpg": replace(RCA_TRIAL, build=without_prototypes),
    "segformer": replace(RCA_TRIAL, build=segformer),
    "lovasz": replace(RCA_TRIAL, train=replace(TRAIN, lovasz=0.5)),
    "even": replace(RCA_TRIAL, train=replace(TRAIN, class_weights="none")),
    "soft": replace(RCA_TRIAL, train=replace(TRAIN, class_weights="soft")),
    "plain": replace(RCA_TRIAL, data=replace(DATA, photometric=False)),
    "steady": replace(RCA_TRIAL, data=replace(DATA, scale=(0.9, 1.1))),
    "mean": replace(RCA_TRIAL, build=lambda: build_model(replace(MODEL, talk_bias="mean"))),
    "guess": replace(RCA_TRIAL, guess=0.4),
    "rca long": replace(RCA_TRIAL, train=LONG),
    "paste long": replace(RCA_TRIAL, train=LONG, paste=0.5),
}


def run(trial: Trial, folder: Path, seed: int) -> dict:
    """One trial with one seed: its mIoU on 0006R0, 0..1, that of each class, its last loss, and its minutes."""
    start = time.perf_counter()
    learnt = open_dataset("camvid", folder, "train", hold_out="0006R0")
    held_out = open_dataset("camvid", folder, "holdout", hold_out="0006R0")
    torch.manual_seed(seed)
    network = trial.build().to(memory_format=torch.channels_last)
    average, losses = learn(network, trial, learnt, seed)
    whole = score(average, held_out)
    minutes = (time.perf_counter() - start) / 60
    larger = {str(factor): score(average, held_out, factor).miou for factor in LARGER}
    result = {"miou": whole.miou, "iou": list(whole.iou), "loss": float(np.mean(losses[-50:])), "minutes": minutes}
    return result | {"larger": larger}


def learn(network: nn.Module, trial: Trial, learnt: LabelledImages, seed: int) -> tuple[nn.Module, list[float]]:
    """The average of the weights after the last step, and the loss of each."""
    config = replace(trial.train, seed=seed)
    optimizer = torch.optim.AdamW(parameter_groups(network, config), betas=config.betas)
    average, losses = MovingAverage(network, config.ema or 0.0), []
    power = WEIGHT_POWERS.get(config.class_weights)
    of_classes = None if power is None else log_weights(learnt.class_shares(), power)
    weights = label_weights(MODEL.classes, of_classes)
    network.train()
    share = Share(batch_size=config.batch_size, seed=seed, steps=range(config.steps))
    for batch in training_batches(learnt, trial.data, share):
        set_rate(optimizer, batch.step, config)
        pasted = paste(batch, trial.paste, np.random.default_rng((seed, batch.step))) if trial.paste else batch
        loss = loss_with_guess(network, pasted, weights, trial)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(network, batch.step)
        losses.append(float(loss.detach()))
    return average.model, losses


def paste(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    """The batch, some crops with the small things of the crop before them in their places."""
    images, labels = batch.images.clone(), batch.labels.clone()
    for i in range(len(images)):
        if rng.random() < share:
            taken = torch.isin(batch.labels[i - 1], torch.tensor(SMALL_THINGS, dtype=torch.uint8))
            images[i, :, taken], labels[i, taken] = batch.images[i - 1][:, taken], batch.labels[i - 1][taken]
    return replace(batch, images=images, labels=labels)


def loss_with_guess(
    network: nn.Module, batch: Batch, weights: Float[Tensor, " 256"], trial: Trial
) -> Float[Tensor, ""]:
    """The loss of the answer, and that of the head's guess if the trial has it."""
    images, answers = batch.images.to(memory_format=torch.channels_last), []
    hook = None
    if trial.guess:
        head = network.get_submodule("head")
        hook = head.get_submodule("guess").register_forward_hook(lambda *io: answers.append(head.classify(io[2])))
    loss = loss_of(network(images), batch, weights, trial.train.lovasz)
    if hook is not None:
        hook.remove()
        loss = loss + trial.guess * loss_of(answers[0], batch, weights, 0.0)
    return loss


def loss_of(logits: Tensor, batch: Batch, weights: Float[Tensor, " 256"], lovasz: float) -> Float[Tensor, ""]:
    """The run's loss; a grid finer than an eighth of the image is met in the plain way."""
    if logits.shape[-1] * 8 == batch.labels.shape[-1]:
        return segmentation_loss(logits, batch.labels, weights, lovasz=lovasz)
    full = F.interpolate(logits, size=batch.labels.shape[-2:], mode="bilinear")
    return F.cross_entropy(full, batch.labels.long(), weight=weights[: MODEL.classes], ignore_index=255)


def score(network: nn.Module, held_out: LabelledImages, factor: float = 1.0):  # noqa: ANN201  Scores
    """Scores at the annotations' size, the image seen as in training, or so many times as large."""
    fit_px = (int(DATA.fit_px[0] * factor), int(DATA.fit_px[1] * factor))
    counts = np.zeros((MODEL.classes, MODEL.classes), np.int64)
    network.eval()
    for index in range(len(held_out)):
        image, labels = held_out.image(index), held_out.labels(index)
        small = resize_image(image, fit_size(labels.shape, fit_px))
        planes = torch.from_numpy(normalise(small, IMAGENET_MEAN, IMAGENET_STD))[None]
        with torch.inference_mode():
            full = F.interpolate(network(planes), size=labels.shape, mode="bilinear")
        counts += confusion(labels, full[0].argmax(0).byte().numpy(), MODEL.classes)
    return scores(counts)


def show(results: dict[str, dict[str, dict]]) -> None:
    """Mean and spread of each trial, of its differences to `rca` by seed, and its scores on larger images."""
    sizes = " | ".join(f"{factor:g} x" for factor in LARGER)
    print(f"| trial | mIoU by seed | mean | spread | against rca, same seed | beyond the spread | {sizes} |")
    print("|---|---|---|---|---|---|" + len(LARGER) * "---|")
    for name, seeds in results.items():
        base = {seed: result["miou"] for seed, result in results.get(base_of(name), {}).items()}
        values = [100 * result["miou"] for result in seeds.values()]
        gains = [100 * (result["miou"] - base[seed]) for seed, result in seeds.items() if seed in base]
        scored = ", ".join(f"{value:.1f}" for value in values)
        larger = " | ".join(larger_scores(list(seeds.values()), str(factor)) for factor in LARGER)
        print(
            f"| {name} | {scored} | {statistics.mean(values):.1f} | {spread(values)} | {compared(name, gains)} "
            f"| {larger} |"
        )


def base_of(name: str) -> str:
    """The trial that another one is compared with: of as many steps."""
    return "rca long" if name.endswith(" long") else "rca"


def larger_scores(runs: list[dict], factor: str) -> str:
    """The mIoU of each seed at a larger size, where the runs were scored at it."""
    return ", ".join(f"{100 * result['larger'][factor]:.1f}" for result in runs if "larger" in result) or "-"


def spread(values: list[float]) -> str:
    """The standard deviation of some scores."""
    return f"{statistics.stdev(values):.1f}" if len(values) > 1 else "-"


def compared(name: str, gains: list[float]) -> str:
    """The mean of paired differences, and whether all have its sign and it exceeds their deviation."""
    if name in ("rca", "rca long") or len(gains) < 2:
        return "- | -"
    mean = statistics.mean(gains)
    is_clear = all(gain * mean > 0 for gain in gains) and abs(mean) > statistics.stdev(gains)
    return f"{mean:+.1f} ({', '.join(f'{gain:+.1f}' for gain in gains)}) | {'yes' if is_clear else 'no'}"


def main() -> None:
    """Run what the command line asks for and is not there yet, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--names", nargs="*", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/ablations.json"))
    options = parser.parse_args()
    results = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    for seed in options.seeds:
        for name in options.names:
            if str(seed) in results.get(name, {}):
                continue
            result = run(TRIALS[name], options.camvid, seed)
            results.setdefault(name, {})[str(seed)] = result
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(f"{name}, seed {seed}: {100 * result['miou']:.1f} after {result['minutes']:.1f} minutes", flush=True)
    show(results)


if __name__ == "__main__":
    main()

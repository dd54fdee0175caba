"""Benchmark: time, memory and arithmetic of a label map, for weights on several engines and for baselines.

    entries --+-- each in a fresh process ----------------> peak memory
              +-- rounds: one pass of each entry ---------> milliseconds of each stage
              +-- shapes only ----------------------------> parameters, multiply-adds

A round runs every entry once, and every second round runs them in reverse order, so that other load on the machine
affects all of them alike. Ratios are taken within rounds.
"""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from cgrseg.benchmarking.entries import STAGES, Complexity, Entry, Memory, Runner, complexity, memory_of, timed_pass
from cgrseg.data.images import read_image, resize_image, write_image
from cgrseg.errors import CGRSegError
from cgrseg.machine import Machine, machine, matrix_rate
from cgrseg.runtime import EngineName
from cgrseg.types import Image, LabelMap, Size

WARM_UP = 3
"""Rounds before the counted ones."""
PRODUCTS = 3
"""Matrix products per round; the fastest of all gives the machine's rate."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Settings of a benchmark."""

    engines: tuple[EngineName, ...] = ("auto",)
    """Engines; all weights run on each of them."""
    against: tuple[str, ...] = ()
    """Baselines: `plain`, `segformer-b0`, `segformer-b1`, `segformer-b2`."""
    image: Path | None = None
    """Image file; the bundled street photo by default."""
    size: Size | None = None
    """Size that the image is resized to first, and saved as JPEG; its own size by default."""
    threads: int = 1
    """CPU threads of each entry. Several threads spin while they wait, so their times depend on other load."""
    classes: int = 150
    """Number of classes of networks without weights."""
    repeats: int = 20
    """Rounds that count."""


@dataclass(frozen=True)
class Timing:
    """Times of a number of passes, in milliseconds."""

    median_ms: float
    low_ms: float
    """The first quartile."""
    high_ms: float
    """The third quartile."""
    fastest_ms: float


def timing(milliseconds: Sequence[float]) -> Timing:
    """Median, quartiles and minimum of the times of some passes, in milliseconds."""
    low, median, high = statistics.quantiles(milliseconds, n=4, method="inclusive")
    return Timing(*(round(value, 3) for value in (median, low, high, min(milliseconds))))


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Results for one entry."""

    name: str
    """The weights or baseline as given."""
    design: str
    """Name of the network in its paper, such as CGRSeg-T."""
    classes: int
    engine: str
    precision: str
    is_trained: bool
    """Whether its weights are trained; this affects the time of the label map, not that of the network."""
    input: Size
    """Height and width of the network's input in pixels."""
    complexity: Complexity
    stages: dict[str, Timing]
    total: Timing
    ratio: float
    """Median over rounds of its time divided by that of the first entry."""
    same_labels: float | None
    """Share of pixels, 0..1, with the same label as on the first engine these weights ran on; none on that one."""
    memory: Memory


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Results for all entries, and the conditions they were measured under."""

    measurements: tuple[Measurement, ...]
    config: BenchmarkConfig
    machine: Machine
    image: str
    """File name of the image."""
    size: Size
    """Height and width of the image."""
    rate: float
    """Multiply-adds per second of the fastest fp32 matrix product between the passes."""
    date: str

    def floor_ms(self, measurement: Measurement) -> float:
        """Milliseconds the network would take if it were one fp32 matrix product of as many multiply-adds."""
        return 1000 * measurement.complexity.macs / self.rate

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        settings = {"threads": self.config.threads, "repeats": self.config.repeats, "warm_up": WARM_UP}
        return {
            "date": self.date,
            "machine": self.machine.as_tree(),
            "picture": {"name": self.image, "height": self.size[0], "width": self.size[1]},
            "settings": settings | {"batch": 1, "device": "cpu"},
            "fp32_macs_per_s": round(self.rate),
            "contenders": [asdict(row) | {"floor_ms": round(self.floor_ms(row), 3)} for row in self.measurements],
        }


@dataclass(frozen=True)
class Rounds:
    """Measurements of the counted rounds."""

    ms: Float64[np.ndarray, "rounds entries stages"]
    labels: list[LabelMap]
    """Label map of each entry."""
    rate: float
    """Multiply-adds per second of the fastest fp32 matrix product."""


def benchmark(
    weights: str | Path | Sequence[str | Path],
    config: BenchmarkConfig | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Benchmark:
    """Measure weights: parameters, multiply-adds, time of each stage, memory.

    Args:
        weights: one or several of what `load` accepts, or `cgrseg-t`, `-b`, `-l` or `-lite` for random weights.
        config: engines, baselines, image and number of rounds.
        on_progress: called as `on_progress(done, total)` before each step: one memory measurement or one round.
        on_stage: called with a description of the steps that follow.

    Raises:
        CGRSegError: weights, an engine, a baseline or the image cannot be opened, or a setting is out of range.
    """
    config, on_progress = config or BenchmarkConfig(), on_progress or (lambda _done, _total: None)
    on_stage = on_stage or (lambda _text: None)
    names = [str(name) for name in ([weights] if isinstance(weights, str | Path) else weights)]
    check(config, names)
    with tempfile.TemporaryDirectory() as folder:
        photo = sized_photo(config, Path(folder))
        image = read_image(photo)
        entries = list_entries(names, config)
        runners = [entry.open() for entry in entries]
        memories, count, total = [], len(entries), len(entries) + WARM_UP + config.repeats
        on_stage("peak memory")
        for entry in entries:
            on_progress(len(memories), total)
            memories.append(memory_of(entry, photo))
        on_stage("rounds, each with one pass of every entry")
        rounds = take_rounds(runners, photo, config.repeats, lambda done: on_progress(count + done, total))
    return Benchmark(
        measurements=tuple(
            summary(entries, runners, index, image, memory, rounds) for index, memory in enumerate(memories)
        ),
        config=config,
        machine=machine(),
        image=photo.name,
        size=(image.shape[0], image.shape[1]),
        rate=rounds.rate,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check(config: BenchmarkConfig, names: Sequence[str]) -> None:
    """Raise `CGRSegError` for settings out of range, or if nothing is left to measure."""
    if not names or not config.engines:
        raise CGRSegError(
            "nothing to measure", advice="name weights, such as cgrseg-t-camvid, and an engine, such as auto"
        )
    least = {"threads": 1, "repeats": 2, "classes": 1}
    given = {"threads": config.threads, "repeats": config.repeats, "classes": config.classes}
    for key, lowest in least.items():
        if given[key] < lowest:
            raise CGRSegError(f"{key} is {given[key]}", advice=f"it is at least {lowest}")
    if config.size is not None and min(config.size) < 1:
        raise CGRSegError(
            f"an image of {config.size[0]} x {config.size[1]} has no pixels",
            advice="give a height and a width",
        )


def sized_photo(config: BenchmarkConfig, folder: Path) -> Path:
    """The image file to measure on; if the config sets a size, a JPEG of that size written into `folder`."""
    photo = config.image or Path(str(resources.files("cgrseg") / "assets/street.jpg"))
    if config.size is None:
        return photo
    sized = folder / f"{photo.stem}.jpg"
    write_image(sized, resize_image(read_image(photo), config.size))
    return sized


def list_entries(names: Sequence[str], config: BenchmarkConfig) -> list[Entry]:
    """All weights on all engines, then the baselines, with the classes and the image size of the first weights."""
    own = [
        Entry(name=name, engine=engine, threads=config.threads, classes=config.classes)
        for name in names
        for engine in config.engines
    ]
    if not config.against:
        return own
    info = own[0].open().info
    baselines = [
        Entry(
            name=name,
            engine=None,
            threads=config.threads,
            size=info.model.size,
            classes=info.model.classes,
            short_px=info.inference.short_px,
            long_px=info.inference.long_px,
        )
        for name in config.against
    ]
    return own + baselines


def take_rounds(runners: Sequence[Runner], photo: Path, repeats: int, on_round: Callable[[int], None]) -> Rounds:
    """Run all entries in turn, with matrix products after each round; `on_round` gets the number of rounds done."""
    indices = range(len(runners))
    labels, rows, rates = [np.empty((0, 0), np.uint8) for _ in indices], [], []
    for number in range(WARM_UP + repeats):
        on_round(number)
        row = [[0.0] * len(STAGES) for _ in indices]
        for index in indices if number % 2 == 0 else reversed(indices):
            labels[index], row[index] = timed_pass(runners[index], photo)
        rows.append(row)
        rates.append(matrix_rate(PRODUCTS))
    return Rounds(np.array(rows[WARM_UP:]), labels, max(rates))


def summary(
    entries: Sequence[Entry],
    runners: Sequence[Runner],
    index: int,
    image: Image,
    memory: Memory,
    rounds: Rounds,
) -> Measurement:
    """Results for the entry at `index`."""
    entry, runner = entries[index], runners[index]
    totals = rounds.ms.sum(2)
    height, width = runner.prepare(image).shape[1:]
    twin = next((i for i in range(index) if entry.engine and entries[i].name == entry.name), None)
    return Measurement(
        name=entry.name,
        design=runner.design,
        classes=runner.info.model.classes,
        engine=runner.engine,
        precision=runner.precision,
        is_trained=entry.is_trained,
        input=(height, width),
        complexity=complexity(runner.build, (height, width)),
        stages={stage: timing(rounds.ms[:, index, i].tolist()) for i, stage in enumerate(STAGES)},
        total=timing(totals[:, index].tolist()),
        ratio=round(statistics.median((totals[:, index] / totals[:, 0]).tolist()), 3),
        same_labels=None if twin is None else float((rounds.labels[twin] == rounds.labels[index]).mean()),
        memory=memory,
    )

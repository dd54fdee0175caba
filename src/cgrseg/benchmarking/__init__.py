"""Measuring: what a label map costs here, of some weights on some engines, and of peers beside them.

    contenders -- each in a fresh process --------------------- peak memory
               +- rounds: one pass of each, turn by turn ------ milliseconds of each stage
               +- shapes only --------------------------------- parameters, multiply-adds

A round gives every contender one pass, and every second round goes backwards, so whatever else the machine does falls
on all alike. Ratios are taken within rounds.
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

from cgrseg.benchmarking.complexity import Complexity, complexity
from cgrseg.benchmarking.entries import STAGES, Contender, Entry, Memory, memory_of, timed_pass
from cgrseg.data.images import read_image, resize_image, write_image
from cgrseg.errors import CGRSegError
from cgrseg.machine import Machine, machine, matrix_rate
from cgrseg.runtime import EngineName
from cgrseg.types import Image, LabelMap, Size

WARM_UP = 3
"""Rounds that are not counted."""
PRODUCTS = 3
"""Matrix products in each round, of which the fastest gives the machine's rate."""

Watch = Callable[[str, int, int], None]
"""Called with what is measured next, how much is done and how much there is."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """What is measured, and how."""

    engines: tuple[EngineName, ...] = ("auto",)
    """Each of the weights runs on each of these."""
    against: tuple[str, ...] = ()
    """Peers: `plain`, `segformer-b0`, `segformer-b1`, `segformer-b2`."""
    image: Path | None = None
    """The image's file; the bundled street photo unless given."""
    size: Size | None = None
    """To which the image is brought first, as a JPEG; its own unless given."""
    threads: int = 1
    """Of every contender; several spin while they wait, so their times depend on whatever else runs."""
    classes: int = 150
    """Of networks without weights."""
    repeats: int = 20
    """Rounds that are counted."""


@dataclass(frozen=True)
class Timing:
    """How long some passes took."""

    median_ms: float
    low_ms: float
    """The first quartile."""
    high_ms: float
    """The third quartile."""
    fastest_ms: float


def timing(milliseconds: Sequence[float]) -> Timing:
    """The median of some passes, and how they spread."""
    low, median, high = statistics.quantiles(milliseconds, n=4, method="inclusive")
    return Timing(*(round(value, 3) for value in (median, low, high, min(milliseconds))))


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one contender cost."""

    name: str
    """What was given: weights or a peer."""
    design: str
    """The network as papers call it, such as CGRSeg-T."""
    classes: int
    engine: str
    precision: str
    is_trained: bool
    """Whether its weights are real; the time of the network does not depend on it, that of the label map does."""
    input: Size
    """What its network saw."""
    complexity: Complexity
    stages: dict[str, Timing]
    total: Timing
    ratio: float
    """Its time by that of the first contender, the median over rounds."""
    same_labels: float | None
    """Share of pixels, 0..1, labelled as on the first engine that these weights ran on."""
    memory: Memory


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What all contenders cost, and under which conditions."""

    measurements: tuple[Measurement, ...]
    config: BenchmarkConfig
    machine: Machine
    image: str
    """Name of the image's file."""
    size: Size
    """Of the image."""
    rate: float
    """Multiply-adds per second of the fastest fp32 matrix product seen meanwhile."""
    date: str

    def floor_ms(self, measurement: Measurement) -> float:
        """What the network would take if all of it were one fp32 matrix product."""
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
            "contenders": [asdict(each) | {"floor_ms": round(self.floor_ms(each), 3)} for each in self.measurements],
        }


@dataclass(frozen=True)
class Rounds:
    """What was measured turn by turn."""

    ms: Float64[np.ndarray, "rounds contenders stages"]
    labels: list[LabelMap]
    """The label map of each contender."""
    rate: float
    """Multiply-adds per second of the fastest fp32 matrix product."""


def benchmark(
    weights: str | Path | Sequence[str | Path], config: BenchmarkConfig | None = None, on_progress: Watch | None = None
) -> Benchmark:
    """Measure weights: parameters, multiply-adds, time of each stage, memory.

    Args:
        weights: one or several of what `load` takes, or `cgrseg-t`, `-b`, `-l` or `-lite`: networks of random weights.
        config: what else is measured, and how.
        on_progress: called before each step with what it is, how many are done and how many there are.

    Raises:
        CGRSegError: weights, an engine, a peer or the image cannot be opened, or a setting is out of range.
    """
    config, watch = config or BenchmarkConfig(), on_progress or (lambda _what, _done, _total: None)
    names = [str(name) for name in ([weights] if isinstance(weights, str | Path) else weights)]
    check(config, names)
    with tempfile.TemporaryDirectory() as folder:
        photo = sized_photo(config, Path(folder))
        image = read_image(photo)
        entries = enter(names, config)
        contenders = [entry.open() for entry in entries]
        memories = []
        for entry in entries:
            watch("peak memory", len(memories), len(entries))
            memories.append(memory_of(entry, photo))
        rounds = take_rounds(contenders, photo, config.repeats, watch)
    return Benchmark(
        measurements=tuple(
            summary(entries, contenders, place, image, memory, rounds) for place, memory in enumerate(memories)
        ),
        config=config,
        machine=machine(),
        image=photo.name,
        size=(image.shape[0], image.shape[1]),
        rate=rounds.rate,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check(config: BenchmarkConfig, names: Sequence[str]) -> None:
    """Refuse settings that nothing can be measured with."""
    if not names or not config.engines:
        raise CGRSegError("nothing to measure: name weights, such as cgrseg-t-camvid, and an engine, such as auto")
    least = {"threads": 1, "repeats": 2, "classes": 1}
    given = {"threads": config.threads, "repeats": config.repeats, "classes": config.classes}
    for key, lowest in least.items():
        if given[key] < lowest:
            raise CGRSegError(
                f"{key} is {given[key]}",
                advice=f"it is at least {lowest}",
            )
    if config.size is not None and min(config.size) < 1:
        raise CGRSegError(
            f"an image of {config.size[0]} x {config.size[1]} has no pixels",
            advice="give a height and a width",
        )


def sized_photo(config: BenchmarkConfig, folder: Path) -> Path:
    """The image's file; where a size is asked for, one of that size written into the folder."""
    photo = config.image or Path(str(resources.files("cgrseg") / "assets/street.jpg"))
    if config.size is None:
        return photo
    sized = folder / f"{photo.stem}.jpg"
    write_image(sized, resize_image(read_image(photo), config.size))
    return sized


def enter(names: Sequence[str], config: BenchmarkConfig) -> list[Entry]:
    """Every weights on every engine, then the peers, which get the classes and the fitting of the first weights."""
    own = [
        Entry(name=name, engine=engine, threads=config.threads, classes=config.classes)
        for name in names
        for engine in config.engines
    ]
    if not config.against:
        return own
    info = own[0].open().info
    peers = [
        Entry(
            name=peer,
            engine=None,
            threads=config.threads,
            size=info.model.size,
            classes=info.model.classes,
            short_px=info.inference.short_px,
            long_px=info.inference.long_px,
        )
        for peer in config.against
    ]
    return own + peers


def take_rounds(contenders: Sequence[Contender], photo: Path, repeats: int, watch: Watch) -> Rounds:
    """Passes of all contenders, turn by turn, and matrix products in between."""
    places = range(len(contenders))
    labels, rows, rates = [np.empty((0, 0), np.uint8) for _ in places], [], []
    for index in range(WARM_UP + repeats):
        watch("rounds, each with one pass of every contender", index, WARM_UP + repeats)
        row = [[0.0] * len(STAGES) for _ in places]
        for place in places if index % 2 == 0 else reversed(places):
            labels[place], row[place] = timed_pass(contenders[place], photo)
        rows.append(row)
        rates.append(matrix_rate(PRODUCTS))
    return Rounds(np.array(rows[WARM_UP:]), labels, max(rates))


def summary(
    entries: Sequence[Entry],
    contenders: Sequence[Contender],
    place: int,
    image: Image,
    memory: Memory,
    rounds: Rounds,
) -> Measurement:
    """What the contender at this place cost."""
    entry, contender = entries[place], contenders[place]
    totals = rounds.ms.sum(2)
    seen = contender.prepare(image).shape[1:]
    twin = next((i for i in range(place) if entry.engine and entries[i].name == entry.name), None)
    return Measurement(
        name=entry.name,
        design=contender.design,
        classes=contender.info.model.classes,
        engine=contender.engine,
        precision=contender.precision,
        is_trained=entry.is_trained,
        input=(seen[0], seen[1]),
        complexity=complexity(contender.build, (seen[0], seen[1])),
        stages={stage: timing(rounds.ms[:, place, index].tolist()) for index, stage in enumerate(STAGES)},
        total=timing(totals[:, place].tolist()),
        ratio=round(statistics.median((totals[:, place] / totals[:, 0]).tolist()), 3),
        same_labels=None if twin is None else float((rounds.labels[twin] == rounds.labels[place]).mean()),
        memory=memory,
    )

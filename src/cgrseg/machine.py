"""What a network costs, and what it is measured on: multiply-adds, memory, the machine.

network built without memory (meta) -- one pass of shapes -- parameters, multiply-adds
/proc and the packages' metadata ---------------------------- memory, processor, versions, commit
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import cgrseg
from cgrseg.types import Size

PACKAGES = ("torch", "openvino", "onnxruntime", "transformers", "numpy")
"""Whose versions change what is measured."""
MATRIX = 1536
"""Side of the matrices whose product gives the machine's rate."""


@dataclass(frozen=True)
class Complexity:
    """What a network costs before any machine is known."""

    parameters: int
    macs: int
    """Multiply-adds of every convolution and every matrix product, those inside attention too."""
    layer_macs: int
    """Those of the layers alone, as the paper counts: convolutions and linear layers, with their biases."""


def complexity(build: Callable[[], nn.Module], size: Size) -> Complexity:
    """Parameters, and multiply-adds for one image of this size; nothing is computed, only shapes.

    The paper's numbers come from a counter that watches layers, so what attention multiplies between its layers is not
    in them. `layer_macs` counts by that rule: for 150 classes and 512 x 512 it gives T, B and L 4.0, 7.6 and 14.8 G
    where the paper has 4.0, 7.6 and 14.9. Other papers count everything, SegFormer's is one of them.
    """
    with torch.device("meta"):
        network = build().eval().requires_grad_(False)
        image = torch.zeros(1, 3, *size)
    in_layers = []

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kernel = layer.get_parameter("weight")
        in_layers.append(output.numel() * (kernel[0].numel() + (layer.bias is not None)))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False)
    with counter:
        network(image)
    return Complexity(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=counter.get_total_flops() // 2,
        layer_macs=sum(in_layers),
    )


def matrix_rate(repeats: int = 3) -> float:
    """Multiply-adds per second of the fastest of some fp32 matrix products, on PyTorch's threads."""
    one, two = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(one, two)
        seconds.append(time.perf_counter() - start)
    return MATRIX**3 / min(seconds)


def forget_peak() -> int:
    """Bytes of memory that this process holds now; where the system can, its peak is counted anew from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmRSS")
    except OSError:
        return peak_memory()


def peak_memory() -> int:
    """The most bytes of memory that this process has held."""
    try:
        return _status("VmHWM")  # what `resource` tells may be the peak of the process that started this one
    except OSError:
        import resource  # which Windows lacks

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def _status(key: str) -> int:
    """Bytes in a line of Linux's account of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    line = next((line for line in lines if line.startswith(f"{key}:")), None)
    if line is None:
        raise OSError(f"/proc/self/status has no {key}")
    return 1024 * int(line.split()[1])


@dataclass(frozen=True)
class Machine:
    """What a measurement was made on."""

    processor: str
    cores: int
    """Those that this process may use."""
    system: str
    versions: dict[str, str]
    commit: str
    """The last commit of this package's sources, with `+` if they were changed since; empty if they are in none."""

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def machine() -> Machine:
    """The machine and the software that this runs on."""
    own = {"python": platform.python_version(), "cgrseg": cgrseg.__version__}
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        versions=own | {name: version for name in PACKAGES if (version := _version(name))},
        commit=_commit(Path(__file__).parent),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _commit(folder: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return ""

    def ask(*words: str) -> str:
        command = [git, "-C", str(folder), *words, "--", "."]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  fixed words

    commit = ask("log", "-1", "--format=%h")  # empty in a repository that does not hold this folder
    return f"{commit}+" if commit and ask("status", "--porcelain") else commit

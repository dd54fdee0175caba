"""The machine that a measurement is made on: its processor and software, its speed, and the memory of this process.

/proc, package metadata, git -- machine --> processor, cores, versions, commit
fp32 matrix products ---------- matrix_rate --> multiply-adds per second
/proc/self -------------------- forget_peak, peak_memory --> bytes
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch

import cgrseg

PACKAGES = ("torch", "openvino", "onnxruntime", "transformers", "numpy")
"""Packages whose versions affect a measurement."""
MATRIX = 1536
"""Rows and columns of the square matrices that `matrix_rate` multiplies."""


def matrix_rate(repeats: int = 3) -> float:
    """Multiply-adds per second of the fastest of `repeats` fp32 matrix products, on PyTorch's threads."""
    one, two = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(one, two)
        seconds.append(time.perf_counter() - start)
    return MATRIX**3 / min(seconds)


def forget_peak() -> int:
    """Reset the peak of this process's memory where the system allows it; returns the bytes in use now.

    Where it does not, the peak so far is returned instead.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmRSS")
    except OSError:
        return peak_memory()


def peak_memory() -> int:
    """Peak memory of this process in bytes."""
    try:
        return _status("VmHWM")  # `resource` may report the peak of the parent process
    except OSError:
        import resource  # not available on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def free_shared_memory() -> int | None:
    """Free bytes of /dev/shm, through which processes pass tensors; None where there is none."""
    try:
        return shutil.disk_usage("/dev/shm").free  # noqa: S108  nothing is written there
    except OSError:
        return None


def _status(key: str) -> int:
    """A memory field of Linux's /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    line = next((line for line in lines if line.startswith(f"{key}:")), None)
    if line is None:
        raise OSError(f"/proc/self/status has no {key}")
    return 1024 * int(line.split()[1])


@dataclass(frozen=True)
class Machine:
    """Hardware and software of a measurement."""

    processor: str
    cores: int
    """Cores that this process may use."""
    system: str
    versions: dict[str, str]
    commit: str
    """Last commit of this package's sources, followed by `+` if they have changed since; empty outside a repository."""

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def machine() -> Machine:
    """Describe the machine and the software that this process runs on."""
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

    def run_git(*arguments: str) -> str:
        command = [git, "-C", str(folder), *arguments, "--", "."]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  fixed arguments

    commit = run_git("log", "-1", "--format=%h")  # empty if the repository does not track this folder
    return f"{commit}+" if commit and run_git("status", "--porcelain") else commit

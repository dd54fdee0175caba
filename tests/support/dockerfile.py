"""The Dockerfile and what may be copied into it, read as an engine would, as far as this repository goes."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Step:
    """One instruction: its word and what follows."""

    word: str
    rest: str

    def words(self) -> list[str]:
        """What follows, word by word, in either form."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True)
class Stage:
    """What one FROM begins."""

    steps: list[Step]

    def all(self, word: str) -> list[Step]:
        """The steps of that word."""
        return [step for step in self.steps if step.word == word]

    def one(self, word: str) -> list[str]:
        """The words of the only step of that word."""
        (step,) = self.all(word)
        return step.words()

    def variables(self) -> dict[str, str]:
        """What ARG and ENV set."""
        pairs = [pair.partition("=") for step in self.steps if step.word in ("ARG", "ENV") for pair in step.words()]
        return {name: value for name, _, value in pairs}

    def health(self) -> list[str]:
        """The command of HEALTHCHECK."""
        (step,) = self.all("HEALTHCHECK")
        return json.loads(step.rest.split(" CMD ", 1)[1])


def read_stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile; what comes before the first is left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append(Stage([]))
        if stages:
            stages[-1].steps.append(Step(word, rest.strip()))
    return stages


def context(root: Path = ROOT) -> list[PurePosixPath]:
    """The files that .dockerignore lets through; of all its patterns that fit, the last one decides."""
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others"], cwd=root, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    every = listed or [str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()]
    return [PurePosixPath(name) for name in every if (root / name).is_file() and _is_let_through(name, patterns)]


def _is_let_through(name: str, patterns: list[str]) -> bool:
    parts = PurePosixPath(name).parts
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    is_ignored = False
    for pattern in patterns:
        plain = pattern.removeprefix("!").removeprefix("**/")
        found = [part for part in (parts if "**/" in pattern else above) if fnmatch.fnmatchcase(part, plain)]
        if found:
            is_ignored = not pattern.startswith("!")
    return not is_ignored


class Build:
    """Runs the steps of a stage in a folder that stands for the root of an image."""

    def __init__(self, folder: Path, build_context: Path, variables: dict[str, str]) -> None:
        self._folder, self._context, self._given = folder, build_context, variables
        self._at = folder

    def run(self, stage: Stage) -> None:
        """WORKDIR, COPY from the context, and RUN; the image's own folders lie below the folder."""
        environment = os.environ | stage.variables() | self._given
        for step in stage.steps:
            if step.word == "WORKDIR":
                self._at = self._folder / step.rest.lstrip("/")
                self._at.mkdir(parents=True)
            if step.word == "COPY":
                self._copy(step.words())
            if step.word == "RUN":
                command = self.placed(step.rest)
                subprocess.run(["sh", "-ec", command], cwd=self._at, env=environment, check=True, capture_output=True)

    def placed(self, text: str) -> str:
        """The text with the image's folder /opt where it is here."""
        return text.replace("/opt/", f"{self._folder}/opt/")

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        for source in sources:
            found = self._context / source
            if found.is_dir():
                shutil.copytree(found, self._at / target)
            else:
                shutil.copy(found, self._at / target)

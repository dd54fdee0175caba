"""Errors a user can fix: every exception that the command line and the server report in one sentence.

    CGRSegError            problem, advice, setting
    |- RecipeError         a setting
    |- CheckpointError     a weights file
    |- ImageError          an image or a label map
    |- FetchError          an address
    |  `- TooLargeError    a response above the limit
    |- DatasetError        a data set
    |- TrainingError       a run
    |- ExportError         an exported file
    `- MissingExtra        an optional package

    RunStopped             not an error: a run was asked to stop and saved its state

The problem names the thing and shows its value; the advice says what is accepted or what to do next. Neither ends in a
full stop, and neither names a command-line flag: the command line adds the one that sets `setting`.
"""

import errno
from pathlib import Path


class CGRSegError(Exception):
    """An error the user can fix; the base class of all of them.

    Frozen, hashable and picklable: a value that can be compared, kept in sets and sent between processes.

    Args:
        problem: what is wrong: the thing, its value, what is accepted.
        advice: what to do about it.
        setting: the argument or recipe key that would change it, such as `resume` or `start.sha256`.
    """

    def __init__(self, problem: str, advice: str = "", setting: str = "") -> None:
        super().__init__(problem, advice, setting)

    @property
    def problem(self) -> str:
        """The problem: the thing, its value, and what is accepted."""
        return self.args[0]

    @property
    def advice(self) -> str:
        """The next step for the user; may be empty."""
        return self.args[1]

    @property
    def setting(self) -> str:
        """The argument or recipe key that would change it; may be empty."""
        return self.args[2]

    def __str__(self) -> str:
        return f"{self.problem}; {self.advice}" if self.advice else self.problem

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, CGRSegError) and other.args == self.args

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class RecipeError(CGRSegError):
    """A setting that does not exist, has the wrong type or is out of range."""


class CheckpointError(CGRSegError):
    """A weights file that cannot be read, or does not fit what is asked of it."""


class ImageError(CGRSegError):
    """An image or a label map that cannot be decoded."""


class FetchError(CGRSegError):
    """An image that cannot be fetched from its address, or must not be."""


class TooLargeError(FetchError):
    """A response that is larger than the limit."""


class DatasetError(CGRSegError):
    """A data set whose files are missing, do not pair, or hold labels outside its table."""


class TrainingError(CGRSegError):
    """A run that cannot start, cannot resume, or met a loss that is not finite."""


class ExportError(CGRSegError):
    """An export whose output differs from the network's, or that is not supported."""


class MissingExtra(CGRSegError):
    """An optional package that is not installed; the advice holds the pip command."""


class RunStopped(Exception):
    """A training run that was asked to stop and saved its state; resuming continues it bit for bit.

    Args:
        folder: the run, with its states.
        step: the last step it took.
    """

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(folder, step)
        self.folder, self.step = folder, step

    def __str__(self) -> str:
        return f"stopped after step {self.step:,}; its state is in {self.folder}"


def reason(error: Exception) -> str:
    """The first line of another library's message, to quote in ours; its type where the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]


FIXES = {
    errno.ENOSPC: "free some space or write to another disk; nothing half-written is left",
    errno.EDQUOT: "free some of your quota or write to another disk; nothing half-written is left",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f) or write to another file system",
    errno.EROFS: "write to another folder",
    errno.EACCES: "write to another folder, or change its permissions",
}
"""What helps against errors of the system."""


def sentence_of(error: OSError) -> str:
    """An error of the system in one sentence: the file, what is wrong, and what helps."""
    problem = (error.strerror or str(error) or type(error).__name__).lower()
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    sentence = f"{' -> '.join(names)}: {problem}" if names else problem
    advice = FIXES.get(error.errno) if error.errno is not None else None
    return f"{sentence}; {advice}" if advice else sentence

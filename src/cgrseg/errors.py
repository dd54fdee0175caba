"""What can go wrong for a user: every exception that a door prints without a traceback.

A message names the thing, shows its value, says what is accepted and offers the next step; it has no final full stop.
"""


class CGRSegError(Exception):
    """A mistake or a lack that the user can mend; the base of every exception below."""


class RecipeError(CGRSegError):
    """A setting that does not exist, has the wrong type or is out of range."""


class CheckpointError(CGRSegError):
    """A weights file that cannot be read, or that does not fit what is asked of it."""


class ImageError(CGRSegError):
    """A picture or a label map that cannot be decoded."""


class FetchError(CGRSegError):
    """A picture that cannot be fetched from its address, or must not be."""

    is_too_large = False
    """Whether it could be, were it smaller."""


class DatasetError(CGRSegError):
    """A data set whose files are missing, do not pair or hold labels outside its table."""


class TrainingError(CGRSegError):
    """A run that cannot start, cannot resume, or met a loss that is not finite."""


class RunStopped(CGRSegError):
    """A run that was asked to stop and saved its state; resuming goes on as if nothing had been."""


class ExportError(CGRSegError):
    """An export that does not give what the network gives, or that is asked for what there is not."""


class MissingExtra(CGRSegError):
    """An optional package that is not installed; the message holds the pip line."""


def reason(error: Exception) -> str:
    """The first line of another library's message, to quote in ours; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]

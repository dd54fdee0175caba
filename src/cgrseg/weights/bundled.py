"""From what a person types to a file: a path, a bundled name, or a repository of the Hugging Face hub."""

from importlib import resources
from pathlib import Path

from cgrseg.errors import CheckpointError, reason

HUB_FILE = "model.safetensors"


def bundled_names() -> tuple[str, ...]:
    """The names of the weights that ship inside the package."""
    folder = resources.files("cgrseg") / "assets"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors")))


def find_weights(source: str | Path) -> Path:
    """The file that `source` means: an existing path, a bundled name, or a hub id `owner/name`.

    Raises:
        CheckpointError: it is none of these, or the hub cannot be reached.
    """
    path = Path(source)
    if path.is_file():
        return path
    if str(source) in bundled_names():
        return Path(str(resources.files("cgrseg") / "assets" / f"{source}.safetensors"))
    if isinstance(source, str) and source.count("/") == 1 and not path.suffix:
        return _download(source)
    raise CheckpointError(
        f"{source}: no such weights file, and no bundled name (those are {', '.join(bundled_names()) or 'none'})"
    )


def _download(repository: str) -> Path:
    """The weights of a hub repository, from the cache or the network."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, HUB_FILE))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{repository} is no local file, and {HUB_FILE} of the hub repository of that name "
            f"could not be fetched: {reason(error)}"
        ) from None

"""From what a person types to a file: a path, a bundled name, or a repository of the Hugging Face hub."""

from importlib import resources
from pathlib import Path

from cgrseg.errors import CheckpointError
from cgrseg.weights.hub import fetch


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
        return fetch(source)
    raise CheckpointError(
        f"{source}: no such weights file, and no bundled name (those are {', '.join(bundled_names()) or 'none'})"
    )

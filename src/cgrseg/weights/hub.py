"""Finding weights by what a person types: a path, a bundled name, or a repository of the Hugging Face hub.

    owner/name -- models--owner--name/snapshots/<commit>/model.safetensors --> blobs/<SHA-256>

Files of the hub are fetched once, kept in its cache, and compared with the digest it publishes.
"""

import re
from importlib import resources
from pathlib import Path

from cgrseg.errors import CheckpointError, reason

HUB_FILE = "model.safetensors"
SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(repository: str, advice: str = "") -> Path:
    """The weights of a hub repository, from the cache or the network.

    Args:
        repository: its id, `owner/name`.
        advice: the advice of the error where the network is out of reach.

    Raises:
        CheckpointError: the repository or file does not exist, or is not in the cache while the hub is out of reach.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, HUB_FILE))
    except LocalEntryNotFoundError:
        problem = "is not in the hub's cache, and the hub is out of reach"
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        problem = f"could not be fetched: {reason(error).rstrip('.')}"
    raise CheckpointError(
        f"{repository} is no local file, and {HUB_FILE} of the hub repository of that name {problem}"
        f"{advice and '; '}{advice}"
    )


def published_digest(file: Path) -> str | None:
    """The SHA-256 that the hub gave for a file of its cache, after which the cache names what the file links to.

    None for a file that is not in the cache, or in one on a system without links.
    """
    if not file.is_symlink():
        return None
    blob = file.readlink()  # one step only: a blob may be a link itself, to a place that has other names
    return blob.name if blob.parent.name == "blobs" and SHA256.fullmatch(blob.name) else None


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

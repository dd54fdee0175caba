"""Weights of the Hugging Face hub: fetched once, kept in its cache, and compared with the digest that it publishes.

owner/name -- models--owner--name/snapshots/<commit>/model.safetensors --> blobs/<SHA-256>
"""

import re
from pathlib import Path

from cgrseg.errors import CheckpointError, reason

HUB_FILE = "model.safetensors"
SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(repository: str, advice: str = "") -> Path:
    """The weights of a hub repository, from the cache or the network.

    Args:
        repository: its id, `owner/name`.
        advice: what to do where there is no network, for the error.

    Raises:
        CheckpointError: there is no such repository or file, or it is not in the cache and the hub is out of reach.
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

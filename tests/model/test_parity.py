"""The network gives the numbers of the authors' own modules, from their own checkpoint files."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from support.reference import GOLDEN, normal_image, official_weights, outputs_of

from cgrseg.weights import open_weights

PARTS = {
    "stem": "backbone.stem",
    "embed1": "backbone.embeddings.0",
    "embed3": "backbone.embeddings.1",
    "embed5": "backbone.embeddings.2",
    "stage0": "backbone.stages.0",
    "stage1": "backbone.stages.1",
    "stage2": "backbone.stages.2",
    "stage3": "backbone.stages.3",
    "context_pyramid": "pyramid.rcms",
    "meta0": "reconstruct.rcms.0",
    "meta1": "reconstruct.rcms.1",
    "meta2": "reconstruct.rcms.2",
    "fused0": "reconstruct.fuses.0",
    "fused1": "reconstruct.fuses.1",
    "fused2": "reconstruct.fuses.2",
    "linear_fuse": "head.guess",
}


@pytest.fixture(scope="module", params=["t", "b", "l"])
def size(request) -> str:
    return request.param


def official_file(folder: Path, size: str, strength: float = 1.0) -> Path:
    path = folder / "authors.pth"
    torch.save({"meta": {"epoch": 1}, "state_dict": official_weights(size, strength)}, path)
    return path


@pytest.mark.parametrize("letter", ["t", "b", "l"])
def test_the_fill_rule_gives_the_checksums_of_the_reference_weights(letter):
    checksums = json.loads((GOLDEN / f"official_{letter}.crc.json").read_text())

    filled = official_weights(letter)

    floats = {key: tensor for key, tensor in filled.items() if tensor.is_floating_point()}
    wrong = [key for key, tensor in floats.items() if zlib.crc32(tensor.numpy().tobytes()) != checksums[key]]
    assert len(floats) > 500
    assert wrong == []


@pytest.mark.parametrize(
    ("letter", "name"), [("t", "2x256x320"), ("t", "1x512x512"), ("b", "2x256x320"), ("l", "2x256x320")]
)
def test_every_stored_tensor_of_the_authors_network_is_reproduced(letter, name, tmp_path, request):
    file = GOLDEN / f"official_{letter}_{name}.npz"
    stored = np.load(file if file.exists() else request.getfixturevalue("shared_golden") / file.name)
    model, _ = open_weights(official_file(tmp_path, letter))
    batch, rows, columns = map(int, name.split("x"))
    seen = capture(model, normal_image(batch, 3, rows, columns))

    compared = [label for label in seen if f"{label}__slice" in stored]

    assert len(compared) == 21
    for label in compared:
        compare(label, seen[label].numpy(), stored)


def capture(model, image) -> dict[str, torch.Tensor]:
    """The outputs of all parts, and of those that are inputs or sums of parts."""
    inputs = {}
    watched = {"ppa": "pyramid.rcms", "prototypes": "head.gate"}
    hooks = [
        model.get_submodule(path).register_forward_pre_hook(
            lambda _module, given, label=label: inputs.__setitem__(label, given[0])
        )
        for label, path in watched.items()
    ]
    guesses = []
    hooks.append(model.head.classifier.register_forward_hook(lambda _m, _i, output: guesses.append(output)))
    seen = outputs_of(model, PARTS | {"gate": "head.gate"}, image)
    for hook in hooks:
        hook.remove()
    seen["lgc"] = seen.pop("gate") * seen["fused0"]
    return seen | inputs | {"first_logits": guesses[0]}


def compare(label: str, tensor: np.ndarray, stored: np.lib.npyio.NpzFile) -> None:
    """Slice, channel means and deviations, and the whole or thinned tensor where it is stored."""
    tolerance = 5e-5 if "logits" in label else 5e-5 * max(1, np.abs(tensor).max())
    values = {
        f"{label}__slice": tensor[:, :8, :6, :6],
        f"{label}__chmean": tensor.mean((2, 3)),
        f"{label}__chstd": tensor.std((2, 3)),
        f"{label}_full": tensor,
        f"{label}_sub4": tensor[:, :, ::4, ::4],
    }
    for key, value in values.items():
        if key in stored:
            np.testing.assert_allclose(value, stored[key], rtol=0, atol=tolerance, err_msg=key)


def test_logits_are_reproduced_with_strong_scales_and_tables(size, tmp_path):
    stored = np.load(GOLDEN / f"official_{size}_strong_2x256x320.npz")["logits_sub2"]
    model, info = open_weights(official_file(tmp_path, size, strength=2.5))

    with torch.inference_mode():
        logits = model(normal_image(2, 3, 256, 320))

    assert (info.model.size, info.model.position) == (size, "official")
    np.testing.assert_allclose(logits[:, :, ::2, ::2].numpy(), stored, rtol=0, atol=5e-5)


def test_offsets_and_official_positions_agree_at_the_trained_size_and_differ_elsewhere(tmp_path):
    model, _ = open_weights(official_file(tmp_path, "t", strength=2.5))

    def logits(position, image):
        for module in model.modules():
            if hasattr(module, "position"):
                module.position = position
        with torch.inference_mode():
            return model(image)

    square, wide = normal_image(1, 3, 512, 512), normal_image(1, 3, 256, 640)

    torch.testing.assert_close(logits("offsets", square), logits("official", square), rtol=0, atol=0)
    assert (logits("offsets", wide) - logits("official", wide)).abs().max() > 1e-3

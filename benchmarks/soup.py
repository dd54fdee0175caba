"""Average the weights of several runs that began from the same ones.

    python benchmarks/soup.py OUT.safetensors A.safetensors B.safetensors [...] [--talk-bias 0.37]

Runs that start from the same weights and see other samples often end in one valley, whose middle may be better than its
walls (Wortsman et al., "Model soups", ICML 2022). What it was worth here: docs/experiments.md. The file holds fp16, and
says what the first of them says, but for scores and temperature, which are not those of the average.

The bias of the talking heads adds to attention the sum of the values over all tokens, so what it adds grows with the
image, and networks break on images much larger than those they learnt from. `--talk-bias` multiplies it: by the
tokens of the trained size over those of the size in use, it adds there what it added in training.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from cgrseg.model.efficientformer import Attention
from cgrseg.weights import load_weights, save_weights


def middle(tensors: list[Tensor]) -> Tensor:
    """Their mean; a count, which all have, as in the first."""
    return torch.stack(tensors).mean(0) if tensors[0].is_floating_point() else tensors[0]


def main() -> None:
    """Write the average of the files that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--talk-bias", type=float, default=1.0, help="factor of the bias of the talking heads")
    options = parser.parse_args()
    models, infos = zip(*(load_weights(path) for path in options.weights), strict=True)
    if any(info.model != infos[0].model or info.classes != infos[0].classes for info in infos):
        parser.error("the files hold different networks or classes; average runs of one recipe")
    states = [model.state_dict() for model in models]
    models[0].load_state_dict({name: middle([state[name] for state in states]) for name in states[0]})
    for module in models[0].modules():
        if isinstance(module, Attention):
            module.talk_after.get_parameter("bias").data.mul_(options.talk_bias)
    images = {digest for info in infos for digest in info.trained_on}
    said = replace(infos[0], scores={}, temperature=1.0, trained_on=tuple(sorted(images)))
    save_weights(options.out, models[0], said, half=True)


if __name__ == "__main__":
    main()

import pytest
import torch
from support.reference import normal_image
from torch.utils._python_dispatch import TorchDispatchMode

from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.model.attention import BLOCK, AttentionBias, attend
from cgrseg.model.efficientformer import Attention


def at_once(query, key, value, bias, before, after):
    """The formula of talking-heads attention, on all queries at once, in 64-bit floats."""
    scores = torch.einsum("bhqd,bhdn->bhqn", query, key)
    weights = (torch.einsum("gh,bhqn->bgqn", before, scores) + bias).softmax(-1)
    return torch.einsum("gh,bhqn,bgvn->qbgv", after, weights, value)


@pytest.mark.parametrize("grid", [(3, 5), (8, 8), (10, 13)], ids=["part of a block", "one block", "three blocks"])
def test_attention_by_blocks_is_attention(grid):
    torch.manual_seed(0)
    tokens, bias = grid[0] * grid[1], AttentionBias(8, 8)
    bias.table.data.normal_()
    query, key, value = torch.randn(2, 8, tokens, 4), torch.randn(2, 8, 4, tokens), torch.randn(2, 8, 6, tokens)
    talk = (torch.randn(8, 8), torch.randn(8, 8))
    places = bias(*grid)

    given = attend(query, key, value, places, talk)

    whole = places.read(torch.arange(tokens))
    expected = at_once(*(each.double() for each in (query, key, value, whole, *talk)))
    torch.testing.assert_close(given.double(), expected, rtol=1e-4, atol=1e-4)


class LargestTensor(TorchDispatchMode):
    """Remembers the most numbers that any operation gave."""

    most = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.untyped_storage().nbytes() > 0:
            self.most = max(self.most, result.numel())
        return result


def test_no_tensor_of_tokens_by_tokens_exists_in_a_large_image():
    model = build_model(ModelConfig(size="s0", classes=3)).eval()
    tokens = (2048 // 32) * (1024 // 32)

    with torch.inference_mode(), LargestTensor() as largest:
        model(normal_image(1, 3, 1024, 2048))

    assert largest.most < tokens * tokens * 8
    assert largest.most <= max(8 * BLOCK * 4 * tokens, 128 * 256 * 512)  # a block of scores, or the widest feature map


def added_by_talk_bias(talk_bias, tokens):
    """What the bias after the softmax adds on an image of one colour, for a module made for 4 x 4 tokens."""
    torch.manual_seed(0)
    module = Attention(16, AttentionBias(8, 4), reduce=False, talk_bias=talk_bias).eval()
    inside, image = {}, torch.ones(1, 16, tokens, tokens)
    module.project.register_forward_pre_hook(lambda _, given: inside.update(sums=given[0]))
    found = []
    for bias in (1.0, 0.0):
        module.talk_after.bias.data.fill_(bias)
        with torch.inference_mode():
            module(image)
        found.append(inside["sums"].mean((2, 3)))
    return found[0] - found[1]


@pytest.mark.parametrize(("talk_bias", "factor"), [("sum", 9), ("mean", 1)])
def test_what_the_talking_heads_bias_adds_grows_with_the_image_by_sum_and_not_by_mean(talk_bias, factor):
    trained, larger = (added_by_talk_bias(talk_bias, tokens) for tokens in (4, 12))

    torch.testing.assert_close(trained, added_by_talk_bias("sum", 4), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(larger, factor * trained, rtol=1e-4, atol=1e-5)

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cgrseg.training.losses import WEIGHT_POWERS, label_weights, log_weights, segmentation_loss, total_weight


def test_the_loss_is_the_mean_over_labelled_pixels_of_the_upsampled_logits():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 2, 2), torch.randint(0, 3, (2, 16, 16)).byte()
    labels[0, :5] = 255

    full = F.interpolate(logits, size=(16, 16), mode="bilinear").log_softmax(1).permute(0, 2, 3, 1)
    known = labels != 255
    expected = -full[known].gather(1, labels[known].long()[:, None]).mean()

    torch.testing.assert_close(segmentation_loss(logits, labels, label_weights(3)), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [(32, 40), (27, 33)])
def test_loss_and_gradient_are_those_of_cross_entropy_on_full_size_logits(size, weighted):
    torch.manual_seed(0)
    logits = (3 * torch.randn(3, 5, 4, 5)).to(memory_format=torch.channels_last).requires_grad_()
    labels = torch.randint(0, 5, (3, *size)).byte()
    labels[1:, 3:9] = 255
    weights = torch.rand(5) + 0.5 if weighted else None

    loss = segmentation_loss(logits, labels, label_weights(5, weights))
    (gradient,) = torch.autograd.grad(2 * loss, logits)

    full = F.interpolate(logits, scale_factor=8, mode="bilinear")[..., : size[0], : size[1]]
    expected = F.cross_entropy(full, labels.long(), weight=weights, ignore_index=255)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(2 * expected, logits)[0], rtol=1e-5, atol=1e-7)


def test_a_crop_that_is_not_a_multiple_of_eight_is_aligned_with_the_grid():
    logits = torch.tensor([[[[0.0, 8.0]], [[8.0, 0.0]]]])
    labels = torch.zeros(1, 8, 12, dtype=torch.uint8)

    aligned = F.interpolate(logits, size=(8, 16), mode="bilinear")[..., :12]

    loss = segmentation_loss(logits, labels, label_weights(2))

    torch.testing.assert_close(loss, F.cross_entropy(aligned, labels.long()))


def test_a_batch_without_labels_gives_zero_and_a_gradient_of_zeros():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)

    loss = segmentation_loss(logits, torch.full((1, 16, 16), 255, dtype=torch.uint8), label_weights(3))
    loss.backward()

    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_the_parts_of_a_batch_add_up_to_the_loss_of_the_whole():
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3, 2, 2), torch.randint(0, 3, (4, 16, 16)).byte()
    labels[0], labels[1, :9] = 255, 255
    weights = label_weights(3, torch.tensor([0.5, 1.0, 3.0]))
    total = total_weight(labels, weights)

    parts = [segmentation_loss(logits[i : i + 1], labels[i : i + 1], weights, total) for i in range(4)]

    torch.testing.assert_close(torch.stack(parts).sum(), segmentation_loss(logits, labels, weights))


def test_rare_classes_weigh_more_and_the_mean_weight_is_one():
    weights = log_weights(np.array([0.9, 0.1, 0.0]))

    assert weights.mean().item() == pytest.approx(1)
    assert (weights[1] / weights[0]).item() == pytest.approx(np.log(2.0) / np.log(1.2))
    assert weights[2] > weights[1] > weights[0]


def test_soft_weights_of_classes_are_the_roots_of_the_others():
    shares = np.array([0.9, 0.1, 0.0])

    ratios = [weights / weights[0] for weights in (log_weights(shares), log_weights(shares, WEIGHT_POWERS["soft"]))]

    torch.testing.assert_close(ratios[1].square(), ratios[0])


SETS = ((0, 2), (1, 3, 4))


def reference(logits, labels, weights, sets):
    """The loss pixel by pixel, in float64."""
    k = logits.shape[1]
    full = F.interpolate(logits, scale_factor=8, mode="bilinear")[..., : labels.shape[1], : labels.shape[2]]
    likely = full.softmax(1).permute(0, 2, 3, 1)
    losses = []
    for index in (labels != 255).nonzero().tolist():
        label = int(labels[tuple(index)])
        allowed = [label] if label < k else list(sets[label - k])
        losses.append(-weights[label].double() * likely[tuple(index)][allowed].sum().log())
    return torch.stack(losses).sum() / weights[labels[labels != 255].long()].double().sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_pixel_of_a_set_costs_minus_the_log_of_the_sum_of_its_probabilities(weighted):
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(2, 5, 2, 3), torch.randint(0, 7, (2, 13, 20)).byte()
    labels[:, 2:4] = 255
    weights = label_weights(5, torch.rand(5) + 0.5 if weighted else None, SETS)
    ours, theirs = logits.clone().requires_grad_(), logits.double().requires_grad_()

    loss, expected = segmentation_loss(ours, labels, weights, sets=SETS), reference(theirs, labels, weights, SETS)
    loss.backward()
    expected.backward()

    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-7)


def test_a_set_weighs_as_much_as_its_lightest_class():
    weights = label_weights(3, torch.tensor([0.5, 1.0, 2.0]), ((1, 2), (0, 2)))

    assert weights[:6].tolist() == [0.5, 1.0, 2.0, 1.0, 0.5, 0.0]


def test_a_set_of_nearly_zero_probability_gives_a_finite_gradient_away_from_the_others():
    logits = torch.tensor([300.0, 0.0, -300.0]).view(1, 3, 1, 1).requires_grad_()

    loss = segmentation_loss(logits, torch.full((1, 8, 8), 3).byte(), label_weights(3, sets=((1, 2),)), sets=((1, 2),))
    loss.backward()

    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0] > 0


def test_sets_without_a_pixel_change_nothing():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 2, 2), torch.randint(0, 5, (2, 16, 16)).byte()

    losses = [segmentation_loss(logits, labels, label_weights(5, sets=sets), sets=sets) for sets in ((), SETS)]

    assert torch.equal(*losses)


def test_lovasz_leaves_sets_out():
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 3, 2, 2), torch.randint(0, 3, (1, 16, 16)).byte()
    labels[0, :8] = 3
    weights = label_weights(3, sets=((0, 1),))
    unlabelled = labels.masked_fill(labels == 3, 255)

    def surrogate(labels, sets):
        total = torch.tensor(1.0)
        whole = [segmentation_loss(logits, labels, weights, total, sets=sets, lovasz=factor) for factor in (1.0, 0.0)]
        return (whole[0] - whole[1]) / total_weight(labels, weights)

    torch.testing.assert_close(surrogate(labels, ((0, 1),)), surrogate(unlabelled, ()), rtol=1e-4, atol=1e-5)

"""Lovász-softmax against its definition, alone and added to cross-entropy."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cgrseg.training.losses import LOVASZ_STEP, label_weights, lovasz_softmax, segmentation_loss


def by_definition(shares, labels):
    """The Lovász extension of 1 - IoU of each class present, written down term by term with sets."""
    losses = []
    for label in sorted(set(labels.flatten().tolist()) - {255}):
        indices = [index for index in np.ndindex(*labels.shape) if labels[index] != 255]
        truth = {index for index in indices if labels[index] == label}
        error = {index: 1 - shares[(label, *index)] if index in truth else shares[(label, *index)] for index in indices}
        wrong, lost, total = set(), 0.0, 0.0
        for index in sorted(indices, key=lambda index: -error[index].item()):
            wrong = wrong | {index}
            now = 1 - len(truth - wrong) / len(truth | wrong)
            total, lost = total + error[index] * (now - lost), now
        losses.append(total)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(5))
def test_loss_and_gradient_are_those_of_the_definition(seed):
    torch.manual_seed(seed)
    logits = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 3, (3, 5), dtype=torch.uint8)
    labels[0, :2] = 255

    expected = by_definition(logits.softmax(0), labels)
    (slopes,) = torch.autograd.grad(expected, logits)
    loss, gradient = lovasz_softmax(logits.detach().float().softmax(0), labels)

    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(gradient.double(), slopes, rtol=1e-4, atol=1e-6)


def test_for_certain_predictions_it_is_one_minus_the_iou():
    labels = torch.tensor([[0, 0, 0, 1]], dtype=torch.uint8)
    predicted = torch.tensor([[0, 0, 1, 1]])  # IoU 2/3 and 1/2

    loss, _ = lovasz_softmax(F.one_hot(predicted, 2).permute(2, 0, 1).float(), labels)

    assert loss.item() == pytest.approx(1 - (2 / 3 + 1 / 2) / 2)


def test_an_image_without_labels_gives_no_gradient():
    loss, gradient = lovasz_softmax(torch.full((3, 2, 2), 1 / 3), torch.full((2, 2), 255, dtype=torch.uint8))

    assert loss.item() == 0
    assert not gradient.any()


def test_it_is_added_to_cross_entropy_by_its_factor():
    torch.manual_seed(0)
    logits = (2 * torch.randn(2, 3, 2, 3)).requires_grad_()
    labels, weights = torch.randint(0, 3, (2, 16, 24)).byte(), label_weights(3)

    full = F.interpolate(logits, scale_factor=8, mode="bilinear")
    seen = full[..., ::LOVASZ_STEP, ::LOVASZ_STEP].softmax(1)
    parts = [
        by_definition(shares, truth[::LOVASZ_STEP, ::LOVASZ_STEP]) for shares, truth in zip(seen, labels, strict=True)
    ]
    expected = F.cross_entropy(full, labels.long()) + 0.5 * sum(parts) / 2
    loss = segmentation_loss(logits, labels, weights, lovasz=0.5)

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], torch.autograd.grad(expected, logits)[0])


def test_the_parts_of_a_batch_add_up_with_it_too():
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3, 2, 2), torch.randint(0, 3, (4, 16, 16)).byte()
    labels[1, :9] = 255
    weights = label_weights(3, torch.tensor([0.5, 1.0, 3.0]))
    total = weights[labels.long()].sum()

    parts = [segmentation_loss(logits[i : i + 1], labels[i : i + 1], weights, total, lovasz=1.0) for i in range(4)]

    torch.testing.assert_close(torch.stack(parts).sum(), segmentation_loss(logits, labels, weights, lovasz=1.0))

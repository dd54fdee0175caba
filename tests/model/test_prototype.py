import torch

from cgrseg.model.prototype import PrototypeHead, prototypes


def test_a_prototype_is_the_feature_of_the_pixels_that_its_class_is_sure_of():
    x = torch.randn(1, 5, 3, 4)
    guess = torch.zeros(1, 2, 3, 4)
    guess[0, 1, 2, 3] = 50

    found = prototypes(guess, x)[0, :, :, 0]

    torch.testing.assert_close(found[:, 0], x.mean((2, 3))[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[:, 1], x[0, :, 2, 3], rtol=0, atol=1e-5)


def test_one_classifier_gives_the_guess_and_the_answer():
    head = PrototypeHead(8, 3).eval()
    calls = []
    head.classifier.register_forward_hook(lambda *_: calls.append(1))

    head(torch.randn(2, 8, 4, 4))

    assert len(calls) == 2
    assert [name for name, _ in head.named_parameters() if name.startswith("classifier")] == [
        "classifier.weight",
        "classifier.bias",
    ]


def test_the_gate_starts_by_letting_half_of_every_channel_through():
    head = PrototypeHead(8, 3).eval()

    gate = head.gate(torch.randn(2, 8, 3, 1))

    torch.testing.assert_close(gate, torch.full((2, 8, 1, 1), 0.5))


def test_in_training_whole_channels_are_dropped_before_the_classifier():
    torch.manual_seed(0)
    head = PrototypeHead(64, 3, dropout=0.5).train()

    dropped = head.dropout(torch.ones(2, 64, 4, 4)).flatten(2)

    assert ((dropped == 0).all(2) | (dropped == 2).all(2)).all()
    assert (dropped == 0).any()

import pytest
import torch

from cgrseg.model.rcm import RCA, RCM


@pytest.mark.parametrize(("pixel", "reaches"), [((0, 4), True), ((4, 0), True), ((0, 0), False)])
def test_rca_looks_along_its_row_and_column_only(pixel, reaches):
    torch.manual_seed(0)
    rca = RCA(4, strip=3).eval()
    x = torch.randn(1, 4, 9, 9)
    moved = x.clone()
    moved[0, :, *pixel] += 10

    before, after = rca(x)[0, :, 4, 4], rca(moved)[0, :, 4, 4]

    assert (not torch.allclose(before, after)) == reaches


def test_the_first_strip_runs_along_the_row_and_the_second_down_the_column():
    rca = RCA(4, strip=7)

    assert rca.calibrate[0].weight.shape == (4, 1, 1, 7)
    assert rca.calibrate[3].weight.shape == (4, 1, 7, 1)


def test_an_rcm_starts_close_to_the_identity():
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6)

    torch.testing.assert_close(RCM(4, start=1e-6)(x), x, rtol=0, atol=1e-5)
    assert (RCM(4, start=1.0)(x) - x).abs().max() > 1e-2

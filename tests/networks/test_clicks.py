"""The click network: the trunk is the default model, the head mixes neighbouring slices and no windows."""

import torch

from tumorseg.networks.clicks import COARSE, FINE, GUIDE, ClickHead, Trunk


def given(slices: int, side: int = 16) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return (
        torch.randn(slices, FINE, side, side),
        torch.randn(slices, COARSE, side // 2, side // 2),
        torch.randn(slices, GUIDE, side, side),
    )


def test_the_trunk_says_what_the_default_model_says():
    trunk, x = Trunk().eval(), torch.randn(1, 9, 64, 96)
    with torch.no_grad():
        fine, coarse, logits = trunk(x)
        assert torch.allclose(logits, trunk.network(x), atol=1e-5)
    assert fine.shape == (1, FINE, 32, 48)
    assert coarse.shape == (1, COARSE, 16, 24)


def test_every_pixel_gets_a_logit():
    with torch.no_grad():
        assert ClickHead().eval()(*given(3), 3).shape == (3, 1, 32, 32)


def test_windows_of_a_batch_do_not_hear_each_other():
    head, inputs = ClickHead().eval(), given(6)
    with torch.no_grad():
        together = head(*inputs, 3)
        alone = torch.cat([head(*(part[start : start + 3] for part in inputs)) for start in (0, 3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_what_is_clicked_on_a_slice_is_heard_on_its_neighbours():
    head, (fine, coarse, guide) = ClickHead().eval(), given(5)
    other = guide.clone()
    other[2] += 1
    with torch.no_grad():
        changed = (head(fine, coarse, guide) - head(fine, coarse, other)).abs().amax(dim=(1, 2, 3))
    assert (changed > 1e-4).all()


def test_one_slice_alone_is_a_window_too():
    with torch.no_grad():
        assert ClickHead().eval()(*given(1)).shape == (1, 1, 32, 32)

"""Looks: dropout only while scoring, changes undone, vectors of the encoder; for every U-shaped network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tumorseg.active_learning.looks import CHANGED, CHANGES, DROPPED, PLAIN, dropout, embed, look
from tumorseg.errors import InputError
from tumorseg.networks.resunet import ResUNet
from tumorseg.networks.tiny import TinyUNet
from tumorseg.networks.unet import UNet

SLICES = np.random.default_rng(0).normal(size=(5, 3, 32, 48)).astype(np.float32)


def made(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind()


@pytest.fixture(params=[TinyUNet, ResUNet, UNet])
def network(request: pytest.FixtureRequest) -> nn.Module:
    return made(request.param)


def test_a_plain_look_is_what_the_network_says(network: nn.Module) -> None:
    found = look(network, SLICES, PLAIN)
    with torch.inference_mode():
        expected = torch.sigmoid(network.eval()(torch.from_numpy(SLICES)))[:, 0].numpy()
    assert found.shape == (1, 5, 32, 48)
    assert np.allclose(found[0], expected, atol=1e-5)


def test_passes_with_dropout_differ_and_repeat_with_the_seed(network: nn.Module) -> None:
    one, again, other = (look(network, SLICES, DROPPED, passes=3, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (3, 5, 32, 48)
    assert np.array_equal(one, again)
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one, other)


def test_after_dropout_the_network_is_bit_for_bit_the_old_one(network: nn.Module) -> None:
    before = look(network, SLICES, PLAIN)
    look(network, SLICES, DROPPED, passes=2)
    with pytest.raises(RuntimeError, match="stop"), dropout(network, 0.5, torch.Generator()):
        raise RuntimeError("stop")
    assert np.array_equal(look(network, SLICES, PLAIN), before)


def test_no_look_moves_the_global_generator(network: nn.Module) -> None:
    state = torch.get_rng_state()
    look(network, SLICES, DROPPED, passes=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_changed_pictures_come_back_to_their_place() -> None:
    class Bright(nn.Module):
        """Says tumour where the first channel is bright."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * x[:, :1]

    found = look(Bright(), SLICES, CHANGED)
    assert len(found) == len(CHANGES) == 5
    assert np.array_equal(found[0], found[1])  # the mirror image is mirrored back
    assert not np.allclose(found[0], found[2])


def test_vectors_are_one_row_a_slice_and_do_not_depend_on_the_batch(network: nn.Module) -> None:
    vectors = embed(network, SLICES)
    assert len(vectors) == 5
    assert np.isfinite(vectors).all()
    assert np.allclose(vectors[2:3], embed(network, SLICES[2:3]), atol=1e-5)
    assert np.array_equal(look(network, SLICES, PLAIN), look(network, SLICES, PLAIN))


def test_no_slices_are_no_answers(network: nn.Module) -> None:
    assert look(network, SLICES[:0], PLAIN).shape == (1, 0, 32, 48)


def test_a_network_without_stages_or_a_look_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="U-shaped"):
        look(nn.Conv2d(3, 1, 1), SLICES, DROPPED)
    with pytest.raises(InputError, match="telescope"):
        look(made(TinyUNet), SLICES, "telescope")

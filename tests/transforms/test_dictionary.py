"""The MONAI transforms do what the functions do, and the crop comes back through MONAI's own inverse."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from tests.transforms.pictures import head
from tumorseg.transforms.brain_crop import brain_crop
from tumorseg.transforms.clahe import clahe
from tumorseg.transforms.dictionary import BrainCropd, Clahed, Equalised, ZScoreForegroundd
from tumorseg.transforms.equalise import equalise
from tumorseg.transforms.intensity import zscore_foreground


@pytest.mark.parametrize(
    ("transform", "function"), [(Clahed, clahe), (Equalised, equalise), (ZScoreForegroundd, zscore_foreground)]
)
def test_the_wrapper_is_the_function(transform, function):
    volume = head()[None]
    data = {"image": volume, "label": volume > 100}
    out = transform(keys="image")(data)
    assert np.array_equal(out["image"], function(volume))
    assert out["label"] is data["label"]
    assert data["image"] is volume


def test_a_meta_tensor_keeps_its_place():
    affine = torch.diag(torch.tensor([5.0, 0.5, 0.7, 1.0]))
    out = Clahed(keys="image")({"image": MetaTensor(torch.from_numpy(head()[None]), affine=affine)})
    assert isinstance(out["image"], MetaTensor)
    assert torch.equal(out["image"].affine, affine.to(out["image"].affine))
    assert np.array_equal(np.asarray(out["image"]), clahe(head()[None]))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int32, torch.float32, torch.float64])
@pytest.mark.parametrize("two_dimensional", [False, True])
def test_the_inverse_of_the_crop_restores_the_label(dtype, two_dimensional):
    volume = head(97, 131, 1 if two_dimensional else 3)
    image = volume if two_dimensional else volume[None]
    expected = brain_crop(volume)
    label = np.zeros(image.shape)
    label[..., 40:50, 60:70] = 1
    data = {"image": MetaTensor(torch.from_numpy(image)), "label": MetaTensor(torch.from_numpy(label).to(dtype))}
    pipeline = Compose([BrainCropd(keys=("image", "label"), source_key="image")])
    cut = pipeline(data)
    assert np.array_equal(np.asarray(cut["image"]), expected.apply(image))
    back = pipeline.inverse(cut)
    assert back["label"].dtype == dtype
    assert torch.equal(torch.as_tensor(back["label"]), torch.from_numpy(label).to(dtype))
    assert np.array_equal(np.asarray(back["image"]), expected.invert(expected.apply(image)))


def test_the_affine_of_the_crop_follows_its_first_voxel():
    affine = torch.diag(torch.tensor([5.0, 0.5, 0.7, 1.0], dtype=torch.float64))  # axes k, j, i
    image = MetaTensor(torch.from_numpy(head(96, 112)[None]), affine=affine)
    crop = brain_crop(head(96, 112))
    transform = BrainCropd(keys="image", source_key="image")
    cut = transform({"image": image})
    moved = torch.tensor([0, 0.5 * crop.rows.start, 0.7 * crop.columns.start], dtype=torch.float64)
    assert torch.allclose(cut["image"].affine[:3, 3].double(), moved)
    assert torch.allclose(transform.inverse(cut)["image"].affine.double(), affine)

"""The ResUNet in stock MONAI Label, as a competent user would set it up; nothing of our server is in it.

Started by ``python -m monailabel.main start_server --app … --studies …`` in the environment of
``benchmarks/stock/requirements.txt``. The conf has ``lib`` (our source root: network and normalisation are the same
code on both sides), ``weights`` (``.pt``), ``batch`` (slices in one forward pass).

Where there was a choice, the quicker one was taken: nibabel reads (not ITK, whose first import takes seconds), the
network runs on whole slices in batches, nothing is resampled, orientation is undone on the finished mask.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, SliceInferer
from monai.transforms import Activationsd, AsDiscreted, EnsureChannelFirstd, LoadImaged, MapTransform, Orientationd
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask
from monailabel.transform.post import Restored

LABELS = {"tumour": 1}
THRESHOLD = 0.5


class ZScoreForegroundd(MapTransform):
    """Our normalisation on ``(C, I, J, K)`` MetaTensors."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Normalise every channel."""
        from tumorseg.transforms.intensity import zscore_foreground

        out = dict(data)
        for key in self.key_iterator(out):
            image = out[key]
            out[key] = MetaTensor(torch.from_numpy(zscore_foreground(image.numpy())), meta=image.meta)
        return out


class Slices(Inferer):
    """A 2-D network over ``(1, C, I, J, K)``, slices along K in batches; it wants rows (J) before columns (I)."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
        """Return ``(1, 1, I, J, K)`` logits."""

        def rows_first(slices: torch.Tensor, *_: Any) -> torch.Tensor:
            return network(slices.transpose(-1, -2).contiguous()).transpose(-1, -2)

        inferer = SliceInferer(
            roi_size=tuple(inputs.shape[2:4]), sw_batch_size=self.batch, spatial_dim=2, overlap=0, progress=False
        )
        return inferer(inputs, rows_first)


class Segmentation(BasicInferTask):
    """The task: load, orient, normalise, slices through the network, threshold, orient back, write."""

    def __init__(self, path: str, batch: int) -> None:
        from tumorseg.networks.resunet import ResUNet

        self.batch = batch
        super().__init__(
            path, ResUNet(in_channels=3), InferType.SEGMENTATION, LABELS, 3, "ResUNet in stock MONAI Label"
        )

    def pre_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """Load, orient, normalise."""
        return [
            LoadImaged(keys="image", reader="NibabelReader"),
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="LPS"),
            ZScoreForegroundd(keys="image"),
        ]

    def inferer(self, data: Any = None) -> Inferer:
        """Slice by slice."""
        return Slices(self.batch)

    def post_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """Threshold, back to the orientation of the file."""
        return [
            Activationsd(keys="pred", sigmoid=True),
            AsDiscreted(keys="pred", threshold=THRESHOLD),
            Restored(keys="pred", ref_image="image", invert_orient=True),
        ]


class StockApp(MONAILabelApp):
    """One task, ``resunet``."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        sys.path.append(conf["lib"])
        super().__init__(app_dir, studies, conf, name="stock", labels=LABELS)

    def init_infers(self) -> dict[str, BasicInferTask]:
        """Make the task."""
        return {"resunet": Segmentation(self.conf["weights"], int(self.conf["batch"]))}

"""From an image id to an answer: read the study, ask the model, write the label map or the boxes. No MONAI pipeline."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.images import ImageCache
from tumorseg.adapters.models import ModelPool
from tumorseg.adapters.wire import DTYPES, MARKUPS, InferResult, ResultFormat
from tumorseg.errors import InputError
from tumorseg.models.base import DetectionModel
from tumorseg.models.findings import as_json, as_markups
from tumorseg.models.lesions import measure
from tumorseg.models.regrid import regrid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.sources import ImageSource
    from tumorseg.config import AppConfig
    from tumorseg.geometry import Grid
    from tumorseg.models.base import Model
    from tumorseg.models.detection_options import DetectionOptions
    from tumorseg.models.lesions import Lesion
    from tumorseg.types import Prediction, Segmentation, StudyImage

# What may stand in a file name that a viewer stores; series UIDs and most file names pass unchanged.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]+")


class Engine:
    """Models over the images of a source. Safe to use from several threads; see :mod:`tumorseg.adapters.models`."""

    def __init__(self, config: AppConfig, source: ImageSource) -> None:
        self.source = source
        self.models = ModelPool(config)
        self._images = ImageCache(source, config.image_cache_mb)

    def infer(self, model: str, image_id: str, wanted: ResultFormat) -> InferResult:
        """Segment an image of the source, or find what is in it; the answer lies on the grid of exactly this image.

        Raises:
            NotFoundError: the model is not served, or there is no such image.
            InputError: the image cannot be used by this model, or it cannot give the answer that is wanted.
            UnavailableError: too many requests wait.
        """
        self.source.entry(image_id)
        return self._answer(model, image_id, wanted, lambda channels: self._images.read(image_id, channels))

    def infer_file(self, model: str, path: Path, wanted: ResultFormat) -> InferResult:
        """Segment a file or folder that is not of the source (a session's image)."""
        from tumorseg.io import read_study

        def read(channels: tuple[str, ...]) -> tuple[StudyImage, Grid]:
            image = read_study(path, channels=channels)
            return image, image.grid

        return self._answer(model, "session", wanted, read)

    def warm_up(self) -> None:
        """Load the models, the default one first, and let that look at a slice, so that the first request is fast."""
        import numpy as np

        import tumorseg.io  # noqa: F401  the readers are wanted by the first request too
        from tumorseg.geometry import Grid
        from tumorseg.types import StudyImage

        with self.models.using(self.models.names[0]) as model:
            shape = (len(model.channels), 1, 64, 64)
            noise = np.random.default_rng(0).random(shape, dtype=np.float32)
            model.predict(StudyImage(noise, Grid((1, 64, 64), np.eye(4)), model.channels))
        self.models.describe()

    def _answer(
        self, name: str, title: str, wanted: ResultFormat, read: Callable[[tuple[str, ...]], tuple[StudyImage, Grid]]
    ) -> InferResult:
        """Time the steps of one request and put its answer together."""
        begin = time.perf_counter()
        model = self.models.get(name)
        options = detection_options(model, wanted)
        image, displayed = read(model.channels)
        seen = time.perf_counter()
        with self.models.using(name) as model:
            found = model.predict(image, options=options) if isinstance(model, DetectionModel) else model.predict(image)
            prediction = regrid(found, displayed)
        done = time.perf_counter()
        found_here = prediction.detections
        known = {"spacing_known": image.spacing_known, "placed": image.placed}
        lesions = measure(found_here, **known) if found_here is not None else ()
        data, extension = _file(prediction.segmentation, lesions, wanted)
        steps = {"pre": seen - begin, "infer": done - seen, "write": time.perf_counter() - done}
        params = _params(model, prediction, steps)
        if options is not None:
            params |= {"detections": [as_json(lesion) for lesion in lesions], "detection_options": asdict(options)}
        return InferResult(data, f"{_UNSAFE.sub('_', title)}{extension}", params)


def detection_options(model: Model, wanted: ResultFormat) -> DetectionOptions | None:
    """Return the thresholds of a request to a model that finds objects, None for any other model.

    Raises:
        InputError: boxes are wanted of a model that has none, or a threshold is out of its range.
    """
    if isinstance(model, DetectionModel):
        return model.options.with_values(**wanted.thresholds)
    if wanted.extension in MARKUPS:
        raise InputError(
            f"{model.name} segments and finds no boxes: ask for a label map (.nrrd), not {wanted.extension}"
        )
    return None


def _file(segmentation: Segmentation, lesions: tuple[Lesion, ...], wanted: ResultFormat) -> tuple[bytes, str]:
    """Return the answer as the content of a file, and the file's ending."""
    if wanted.extension in MARKUPS:
        return as_markups(lesions), wanted.extension
    if wanted.boxes and lesions:  # 3D Slicer takes markups without any box for a damaged file; an empty mask it shows
        return as_markups(lesions), MARKUPS[0]
    return encode(segmentation, wanted), wanted.extension


def encode(segmentation: Segmentation, wanted: ResultFormat) -> bytes:
    """Return the label map as the content of a file of the wanted format.

    Raises:
        InputError: a label value does not fit the wanted type.
    """
    from tumorseg.io.nrrd_write import nrrd_bytes, seg_nrrd_bytes
    from tumorseg.io.write import nifti_bytes

    largest = max(segmentation.labels.values(), default=0)
    if largest > DTYPES[wanted.dtype]:
        raise InputError(f"label value {largest} does not fit result_dtype {wanted.dtype}: ask for uint16")
    if wanted.extension == ".nrrd":
        return nrrd_bytes(segmentation, compress=wanted.compress)
    if wanted.extension == ".seg.nrrd":
        return seg_nrrd_bytes(segmentation)
    return nifti_bytes(segmentation, compress=wanted.extension == ".nii.gz")


def centroids(segmentation: Segmentation) -> dict[str, list[float]]:
    """Return the centre of each label that is present, voxel index (i, j, k), from the sums along each axis."""
    found = {}
    for name, value in segmentation.labels.items():
        mask = segmentation.voxels == value
        total = int(mask.sum())
        if total:
            found[name] = [round(_mean_index(mask, axis, total), 2) for axis in (2, 1, 0)]
    return found


def _mean_index(mask: NDArray[np.bool_], axis: int, total: int) -> float:
    """Average index of the True voxels along one axis of ``(K, J, I)``."""
    import numpy as np

    profile = mask.sum(axis=tuple(other for other in range(3) if other != axis))
    return float((profile * np.arange(profile.size)).sum() / total)


def _params(model: Model, prediction: Prediction, steps: dict[str, float]) -> dict[str, Any]:
    """Say what the answer is, in the words that MONAI Label's clients look for, and what a reader should know."""
    latencies = {**steps, "total": sum(steps.values()), **{f"model_{k}": v for k, v in prediction.latencies.items()}}
    stages = {"stages": [asdict(stage) for stage in prediction.stages]} if prediction.stages else {}
    return {
        "label_names": dict(model.labels),
        "latencies": {step: round(seconds, 4) for step, seconds in latencies.items()},
        "centroids": centroids(prediction.segmentation),
        "model": prediction.model,
        "version": prediction.version,
        "notes": list(prediction.notes),
        **stages,
    }

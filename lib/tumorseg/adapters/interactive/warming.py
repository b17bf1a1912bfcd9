"""Has models that drive a network answer a click that means nothing, so that nobody's first one pays for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.adapters.interactive.looks import LookTask
from tumorseg.interactive.prompts import Click

if TYPE_CHECKING:
    from tumorseg.adapters.inference.queue import InferenceQueue
    from tumorseg.adapters.interactive.looks import Looks
    from tumorseg.interactive.base import Interactive


def click_noise(model: Interactive, queue: InferenceQueue, device: str, looks: Looks) -> None:
    """Ask a model about three slices that mean nothing, where it answers everybody else."""
    import numpy as np

    from tumorseg.adapters.inference.subject import Subject
    from tumorseg.geometry import Grid
    from tumorseg.types import StudyImage

    channels = model.channels or ("",)
    noise = np.random.default_rng(0).random((len(channels), 3, 64, 64), dtype=np.float32)
    image = StudyImage(noise, Grid((3, 64, 64), np.eye(4)), channels)
    task = LookTask(model, Subject("warm-up", None, lambda _: (image, image.grid)), device, looks.kept)
    look, _, _ = queue.submit(task, None, "warm-up", counted=False).result()
    nothing, click = np.zeros(image.grid.shape, bool), Click((32, 32, 1))
    queue.urgent(device, model.name, lambda: model.answer(look.encoded, nothing, (), click)).result()

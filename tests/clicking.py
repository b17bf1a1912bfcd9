"""What the tests of clicks on a server share: a study with two bright balls, and models that answer in microseconds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from tests.interactive.balls import Balls, Seen, two_balls
from tests.serving import config_for, raw_voxels
from tumorseg.config import AppConfig
from tumorseg.interactive.prompts import Scribble
from tumorseg.types import StudyImage

Mask = NDArray[np.bool_]
#: For ``extra_interactive`` of a test server.
EXTRA = ",".join(f"{name}=tests.clicking:build_{name}" for name in ("balls", "network", "strokes", "anything"))
#: Voxels ``[i, j, k]`` in the one ball, in the other, and in neither.
FIRST, SECOND, DARK = [8, 8, 2], [24, 14, 3], [16, 2, 0]
IMAGE = "case"


def build_balls(weights: Any = None, device: str = "auto") -> Balls:
    """Answers in the lane of what needs no device."""
    return Balls()


def build_network(weights: Any = None, device: str = "auto") -> Balls:
    """The same as if a network did it: in the worker of the device."""
    return replace(Balls(), name="network", slow=True)


@dataclass
class Strokes(Balls):
    """Takes strokes alone, of any class, and has no opinion of its own."""

    name: str = "strokes"
    channels: tuple[str, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)  # type: ignore[assignment]
    kinds: tuple[type[Any], ...] = (Scribble,)
    viewer_type: str = "scribbles"

    def encode(self, image: StudyImage) -> Seen:
        """Keep the first channel."""
        seen = super().encode(image)
        return Seen(seen.voxels, np.zeros_like(seen.proposal))


def build_strokes(weights: Any = None, device: str = "auto") -> Strokes:
    """See :class:`Strokes`."""
    return Strokes()


def build_anything(weights: Any = None, device: str = "auto") -> Balls:
    """Clicks for classes that no network knows."""
    return replace(Balls(), name="anything", labels={})


def clickable(tmp_path: Path, *names: str, **conf: Any) -> AppConfig:
    """Write studies with two balls each (``case`` where none is named) and configure a server of them."""
    (tmp_path / "studies").mkdir(exist_ok=True)
    for name in names or (IMAGE,):
        write_balls(tmp_path / "studies" / f"{name}.nii.gz")
    given = {"extra_interactive": EXTRA, "interactive": "balls,network,strokes,anything", **conf}
    return config_for(tmp_path / "studies", tmp_path, **given)


def write_balls(path: Path, shift: int = 0) -> Path:
    """Write the image with two balls as NIfTI, its voxels in the order of the array; moved along i where asked."""
    voxels = np.roll(two_balls().voxels[0], shift, axis=2)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(voxels.T), np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    return path


def bright() -> Mask:
    """Both balls, ``(K, J, I)``."""
    mask: Mask = two_balls().voxels[0] >= 500
    return mask


def click(
    client: TestClient, model: str = "balls", image: str = IMAGE, *, status: int = 200, **said: Any
) -> tuple[Mask, dict[str, Any]]:
    """Send clicks as Slicer does, and return what is marked and what is said of it."""
    answer = ask(client, model, image, **said)
    assert answer.status_code == status, answer.text
    if status != 200:
        return np.zeros(0, bool), answer.json()
    params, voxels = read(answer)
    return voxels > 0, params


def ask(client: TestClient, model: str = "balls", image: str = IMAGE, query: Any = None, **said: Any) -> Any:
    """Send the parameters of clicks, and return the response."""
    params = json.dumps({"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, **said})
    return client.post(f"/infer/{model}", params={"image": image, **(query or {})}, data={"params": params})


def read(answer: Any) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return both parts of an answer: what is said, and the label map."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = list(BytesParser(policy=HTTP).parsebytes(head + answer.content).iter_parts())
    named = {part.get_param("name", header="content-disposition"): part for part in parts}
    params = json.loads(named["params"].get_content())
    return params, raw_voxels(named["image"].get_payload(decode=True)).reshape(bright().shape)

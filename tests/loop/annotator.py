"""Somebody who labels as Slicer's panel does: asks for a case, looks at it and at the proposal, saves a mask."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests import tiny
from tests.loop.site import MODEL, Site, until

#: Study -> the mask that is saved.
Hand = Callable[[tiny.Study], NDArray[np.uint8]]


def true(study: tiny.Study) -> NDArray[np.uint8]:
    """Draw what is there."""
    return study.mask


def inverted(study: tiny.Study) -> NDArray[np.uint8]:
    """Draw everything else."""
    return (1 - study.mask).astype(np.uint8)


def elsewhere(study: tiny.Study) -> NDArray[np.uint8]:
    """Draw a lesion of the right size where there is none: nothing about the mask alone looks wrong."""
    return np.roll(study.mask, study.mask.shape[2] // 2, axis=2)


@dataclass
class Kept:
    """Every label whose save was acknowledged, for several threads.

    Attributes:
        newest: image -> digest of the voxels that were saved last.
        count: saves that were acknowledged.
        twice: cases that two people were given at the same time.
    """

    newest: dict[str, str] = field(default_factory=dict)
    count: int = 0
    twice: list[str] = field(default_factory=list)
    _held: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def given(self, image: str, name: str) -> None:
        """Note that somebody was given a case."""
        with self._lock:
            if self._held.get(image, name) != name:
                self.twice.append(f"{image} was given to {name} while {self._held[image]} had it")
            self._held[image] = name

    def acknowledge(self, image: str, mask: NDArray[np.uint8]) -> None:
        """Note that a save was acknowledged; the case is nobody's any more."""
        with self._lock:
            self.newest[image] = digest(mask)
            self.count += 1
            self._held.pop(image, None)


def digest(mask: NDArray[Any]) -> str:
    """Return what tells one mask from another."""
    return hashlib.sha256(np.ascontiguousarray(mask, np.uint8).tobytes()).hexdigest()


@dataclass(frozen=True)
class Annotator:
    """Somebody with a viewer.

    Attributes:
        site: where they work.
        name: who.
        kept: where acknowledged saves are noted.
    """

    site: Site
    name: str
    kept: Kept

    def label(self, cases: int, hand: Hand = true, strategy: str = "") -> list[str]:
        """Label the next cases; return their images, fewer where there are no more.

        What the server does not answer (it was killed) is asked again.
        """
        done: list[str] = []
        while len(done) < cases:
            image = self._asked(lambda client: self._next(client, strategy))
            if not image:
                break
            self.kept.given(image, self.name)
            self.look(image)
            self.save(image, hand)
            done.append(image)
        return done

    def look(self, image: str) -> None:
        """Load the image, and the model's proposal where there is a model."""
        self._asked(lambda client: client.get("/datastore/image", params={"image": image}).raise_for_status())
        if MODEL in self._asked(lambda client: client.get("/info/").raise_for_status().json())["models"]:
            form = {"params": json.dumps({"result_extension": ".nrrd", "result_dtype": "uint8"})}
            self._asked(
                lambda client: client.post(f"/infer/{MODEL}", params={"image": image}, data=form).raise_for_status()
            )

    def save(self, image: str, hand: Hand = true) -> None:
        """Save a mask until that is acknowledged."""
        study = self.site.studies[image]
        mask = hand(study)
        file = tiny.write_mask(Path(self.site.folder, f"{self.name}.nii"), study, mask).read_bytes()
        said = {"label_info": [{"name": "tumour", "idx": 1}]}
        self._asked(
            lambda client: client.put(
                "/datastore/label",
                params={"image": image, "tag": "final"},
                data={"params": json.dumps(said)},
                files={"label": ("label.nii.gz", gzip.compress(file))},
            ).raise_for_status()
        )
        self.kept.acknowledge(image, mask)

    def _next(self, client: httpx.Client, strategy: str) -> str:
        strategy = strategy or next(iter(client.get("/info/").raise_for_status().json()["strategies"]))
        said = client.post(f"/activelearning/{strategy}", json={}).raise_for_status().json()
        return str(said.get("id", ""))

    def _asked(self, ask: Callable[[httpx.Client], Any]) -> Any:
        """Ask until there is an answer; an error status is one and is raised."""

        def once() -> tuple[Any] | None:
            try:
                with self.site.client(self.name) as client:
                    return (ask(client),)
            except httpx.TransportError:
                return None

        return until(f"an answer to {self.name}", once)[0]

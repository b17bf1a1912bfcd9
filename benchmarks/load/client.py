"""One client: a kept connection, what it asks, and how it takes a refusal."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.load.label_files import LabelFiles
from benchmarks.load.tally import Tally
from benchmarks.viewers import OHIF_PARAMS, SLICER_PARAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

# A refused client comes back when it is told to, and after this at the latest.
LONGEST_WAIT_S = 5.0
_BUSY = 503
_HANG_UP_AFTER_S = 0.02


@dataclass
class Shared:
    """What the clients of a run have in common.

    Attributes:
        model: what is asked.
        images: ids to choose from.
        labels: makes what is saved.
        image_file: a whole image, to send as a session.
        tally: what was seen.
        numbers: gives every label map another number.
        saved: (image, tag) -> SHA-256 of every label map that was sent there.
        inferences: how many are under way.
        ready: label maps made before the start, so that making them takes nothing from the answers' time.
    """

    model: str
    images: tuple[str, ...]
    labels: LabelFiles
    image_file: bytes
    tally: Tally
    numbers: Iterator[int] = field(default_factory=count)
    saved: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    inferences: int = 0
    ready: list[bytes] = field(default_factory=list)

    def new_label(self) -> bytes:
        """Return a label map that was not sent yet."""
        return self.ready.pop() if self.ready else self.labels.make(next(self.numbers))


class Refused(Exception):
    """The server said 503; ``wait_s`` is when to come back."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"come back in {wait_s:g} s")
        self.wait_s = wait_s


class Client:
    """Asks one thing after another over one connection."""

    def __init__(self, http: aiohttp.ClientSession, shared: Shared, rng: Random) -> None:
        self.http, self.shared, self.rng = http, shared, rng

    async def act(self, name: str) -> None:
        """Do one action by its name and note how it went; a refusal is waited out."""
        action: Callable[[], Awaitable[None]] = getattr(self, name)
        try:
            await action()
        except Refused as refused:
            self.shared.tally.refused[name] += 1
            await asyncio.sleep(min(refused.wait_s, LONGEST_WAIT_S))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever happened, it is what the run is to find
            self.shared.tally.failed(name, f"{type(error).__name__} {error}")

    async def info(self) -> None:
        """Ask what every panel asks."""
        self.shared.tally.in_flight.append(self.shared.inferences)
        await self._ask("info", "GET", "/info/")

    async def list_images(self) -> None:
        """Count images and labels."""
        await self._ask("list_images", "GET", "/datastore/")

    async def next_sample(self) -> None:
        """Ask which image comes next."""
        await self._ask("next_sample", "POST", "/activelearning/random", json={})

    async def infer_ohif(self) -> None:
        """Segment as OHIF does."""
        await self._infer("infer_ohif", {"image": self._image(), "output": "image"}, OHIF_PARAMS)

    async def infer_slicer(self) -> None:
        """Segment as 3D Slicer does."""
        await self._infer("infer_slicer", {"image": self._image()}, SLICER_PARAMS)

    async def save_label(self) -> None:
        """Save a label map that nobody saved before."""
        image, tag, content = self._image(), self._tag(), self.shared.new_label()
        # Noted before it is sent: another client may read it before this one hears that it was saved.
        self.shared.saved.setdefault((image, tag), set()).add(hashlib.sha256(content).hexdigest())
        said = json.dumps({"label_info": [{"name": "tumor", "idx": 1}]})
        form = _form(params=said, label=(f"{image}.nrrd", content))
        await self._ask("save_label", "PUT", "/datastore/label", params={"image": image, "tag": tag}, data=form)
        self.shared.saved[image, tag].add("acknowledged")

    async def read_label(self) -> None:
        """Read a label that was saved and see that it is one that was sent; save one where there is none yet."""
        there = [key for key, digests in self.shared.saved.items() if "acknowledged" in digests]
        if not there:
            return await self.save_label()
        image, tag = self.rng.choice(there)
        body = await self._ask("read_label", "GET", "/datastore/label", params={"label": image, "tag": tag})
        if hashlib.sha256(body).hexdigest() not in self.shared.saved[image, tag]:
            self.shared.tally.failed("read_label", f"{len(body)} bytes that nobody sent for {tag}/{image}")
        return None

    async def session(self) -> None:
        """Send an image that is not kept, segment it, and close the session."""
        form = _form(files=("own.nii.gz", self.shared.image_file))
        body = await self._ask("session_create", "PUT", "/session/", data=form)
        session_id = json.loads(body)["session_id"]
        try:
            await self._infer("session_infer", {"session_id": session_id, "output": "image"}, OHIF_PARAMS)
        finally:
            await self._ask("session_remove", "DELETE", f"/session/{session_id}")

    async def upload_image(self) -> None:
        """Send an image that is there already, which is no error and no change."""
        form = _form(file=(f"{self.shared.images[0]}.nii.gz", self.shared.image_file))
        await self._ask("upload_image", "PUT", "/datastore/image", params={"image": self.shared.images[0]}, data=form)

    async def broken_upload(self) -> None:
        """Send half a file; it must be refused."""
        form = _form(label=("broken.nrrd", self.shared.new_label()[:-20]))
        where = {"image": self._image(), "tag": "original"}
        await self._ask("broken_upload", "PUT", "/datastore/label", expected=422, params=where, data=form)

    async def hang_up(self) -> None:
        """Ask for an inference and go away."""
        before = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._forget(), _HANG_UP_AFTER_S)
        self.shared.tally.answered("hang_up", time.perf_counter() - before)

    async def _forget(self) -> None:
        """Ask for an inference and look at nothing of the answer."""
        where = {"image": self._image()}
        async with self.http.post(f"/infer/{self.shared.model}", params=where, data={"params": "{}"}) as answer:
            await answer.read()

    async def _infer(self, name: str, params: dict[str, str], said: dict[str, Any]) -> None:
        self.shared.inferences += 1
        try:
            data = {"params": json.dumps(said)}
            await self._ask(name, "POST", f"/infer/{self.shared.model}", params=params, data=data)
        finally:
            self.shared.inferences -= 1

    async def _ask(self, name: str, method: str, path: str, expected: int = 200, **request: Any) -> bytes:
        """Send one request and note how long it took; one that nobody answered counts with the time waited so far."""
        begin = time.perf_counter()
        try:
            async with self.http.request(method, path, **request) as answer:
                body = await answer.read()
        except asyncio.CancelledError:
            self.shared.tally.unanswered(name, time.perf_counter() - begin)
            raise
        if answer.status == _BUSY:
            raise Refused(_wait_of(answer.headers.get("Retry-After")))
        if answer.status != expected:
            raise ValueError(f"{method} {path}: {answer.status} {body[:200].decode(errors='replace')}")
        self.shared.tally.answered(name, time.perf_counter() - begin)
        return body

    def _image(self) -> str:
        return self.rng.choice(self.shared.images)

    def _tag(self) -> str:
        """Choose what the label is to be; most are drafts, so that images remain for who asks for the next one."""
        return "final" if self.rng.random() < 0.1 else "original"


def _wait_of(header: str | None) -> float:
    """Read ``Retry-After`` as seconds."""
    if header is None or not header.isdigit():
        raise ValueError(f"503 without Retry-After in seconds (got {header!r})")
    return float(header)


def _form(**fields: str | tuple[str, bytes]) -> Any:
    """Build a ``multipart/form-data`` body of texts and (name, content) files."""
    import aiohttp

    form = aiohttp.FormData()
    for key, value in fields.items():
        if isinstance(value, str):
            form.add_field(key, value)
        else:
            form.add_field(key, value[1], filename=value[0], content_type="application/octet-stream")
    return form

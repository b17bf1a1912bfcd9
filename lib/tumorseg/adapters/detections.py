"""Decisions about what a model that finds objects found: clicked, kept beside the labels, and saved as a label.

What a click means depends on what was found, which the engine says: the same weights, image and thresholds find the
same objects. The last answers are remembered, so that a click costs no inference.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tumorseg.adapters.wire import InferResult, ResultFormat
from tumorseg.errors import ConflictError, InputError, NotFoundError
from tumorseg.interactive.instances import Verdict, instance_to_json, pick
from tumorseg.interactive.prompts import Click, Index, check
from tumorseg.labels.decisions import About, Decision, Decisions
from tumorseg.types import Detections

if TYPE_CHECKING:
    from tumorseg.adapters.engine import Engine
    from tumorseg.adapters.label_desk import LabelDesk
    from tumorseg.labels.types import LabelVersion, Provenance

#: Answers that are remembered, and bytes of their masks.
MOST_ANSWERS, MOST_BYTES = 64, 64 << 20
#: What becomes of objects that nobody decided about when the rest is saved.
Undecided: TypeAlias = Literal["keep", "drop"]


@dataclass(frozen=True, eq=False)
class Found:
    """What a model found in an image.

    Attributes:
        image: id.
        detections: on the image's own grid.
        said: what the answer says of each, in the same order; ``instance`` is by what it is known.
        model, version: who found them.
        options: with which thresholds.
    """

    image: str
    detections: Detections
    said: tuple[Mapping[str, Any], ...]
    model: str
    version: str
    options: Mapping[str, Any]

    @property
    def ids(self) -> tuple[str, ...]:
        """By what each object is known."""
        return tuple(one["instance"] for one in self.said)

    @property
    def nbytes(self) -> int:
        """Memory of the masks."""
        return sum(one.mask.nbytes for one in self.detections.instances)


class DetectionDesk:
    """Looks objects up, keeps decisions and makes labels of them.

    Concurrency: the memory has a lock, the decisions are rows of a database; :meth:`found` waits for the engine's queue
    without holding a thread, everything else may wait for a disk.
    """

    def __init__(self, engine: Engine, desk: LabelDesk) -> None:
        self.decisions = Decisions(desk.store.history.database)
        self._engine, self._desk = engine, desk
        self._known: OrderedDict[Hashable, InferResult] = OrderedDict()
        self._lock = threading.Lock()

    async def found(self, model: str, image: str, wanted: ResultFormat, caller: str) -> Found:
        """Return what a model finds in an image of the source.

        Raises:
            NotFoundError: an unknown model or image.
            InputError: a model that finds no objects, or thresholds out of their range.
        """
        plain = ResultFormat(thresholds=wanted.thresholds)
        key = await asyncio.to_thread(self._engine.key_of, model, image, plain)
        with self._lock:
            result = self._known.get(key)
        if result is None:
            result = await self._engine.infer_async(model, lambda: self._engine.of_source(image), plain, caller)
            self.remember(result)
        if result.detections is None:
            raise InputError(f"{model} finds no single objects: ask a model of the type detection")
        params = result.params
        return Found(
            image,
            result.detections,
            tuple(params["detections"]),
            params["model"],
            params["version"],
            params["detection_options"],
        )

    def remember(self, result: InferResult) -> None:
        """Keep an answer for the clicks on it."""
        if result.key is None or result.detections is None:
            return
        with self._lock:
            self._known[result.key] = replace(result, data=b"", mask=None)
            self._known.move_to_end(result.key)
            while len(self._known) > 1 and (len(self._known) > MOST_ANSWERS or self._nbytes() > MOST_BYTES):
                self._known.popitem(last=False)

    def refused(self, model: str, image: str, holder: str) -> frozenset[str]:
        """Return the ids of the objects that somebody dropped and that the model as it serves now could find."""
        known = self.decisions.of(About(holder, image, model, self._engine.models.get(model).version))
        return frozenset(name for name, decision in known.items() if decision.verdict == "drop")

    def decide(self, found: Found, holder: str, at: Index, verdict: Verdict) -> Decision:
        """Keep or drop the object at a voxel.

        Raises:
            InputError: the voxel is not of the image.
            NotFoundError: no object is there.
        """
        check([Click(at)], found.detections.grid.shape)
        index = pick(found.detections, at)
        if index is None:
            raise NotFoundError(
                f"none of the {len(found.detections)} objects that {found.model} found lies at {list(at)}: "
                "click into its mask or its box"
            )
        return self.decisions.add(_about(found, holder), found.ids[index], verdict, at, found.options)

    def undo(self, found: Found, holder: str) -> Decision:
        """Take the last decision back; ConflictError where there is none."""
        return self.decisions.undo(_about(found, holder))

    def describe(self, found: Found, holder: str) -> dict[str, Any]:
        """List what was found with what was decided; ``stale`` counts decisions about what is not found any more."""
        known = self.decisions.of(_about(found, holder))
        verdicts = [known[name].verdict if name in known else None for name in found.ids]
        everything = self.decisions.versions(holder, found.image, found.model)
        return {
            "image": found.image,
            "model": found.model,
            "version": found.version,
            "detection_options": dict(found.options),
            "detections": [{**one, "decision": verdict} for one, verdict in zip(found.said, verdicts, strict=True)],
            "counts": {word: Counter(verdicts)[key] for word, key in _WORDS.items()},
            "stale": sum(everything.values()) - sum(verdict is not None for verdict in verdicts),
        }

    def save(
        self,
        found: Found,
        holder: str,
        tag: str,
        undecided: Undecided | None,
        provenance: Provenance,
        *,
        expected_parent: str | None = None,
    ) -> LabelVersion:
        """Keep the objects that were kept as a label of their image; those that were dropped go with it by name.

        Args:
            found: what was decided about.
            holder: who decided.
            tag: of the label.
            undecided: what becomes of objects without a decision; None refuses where there are any.
            provenance: who saves.
            expected_parent: uid of the label version that they looked at.

        Raises:
            ConflictError: something is undecided, and nobody said what that means; or there is a newer version.
        """
        known = self.decisions.of(_about(found, holder))
        open_ = [name for name in found.ids if name not in known]
        if open_ and undecided is None:
            raise ConflictError(
                f"nothing was decided about {len(open_)} of {len(found.ids)} objects: click them, "
                "or say undecided=keep or undecided=drop"
            )
        verdicts = [known[name].verdict if name in known else undecided for name in found.ids]
        pairs = list(zip(found.detections.instances, verdicts, strict=True))
        kept = replace(found.detections, instances=tuple(one for one, verdict in pairs if verdict == "keep"))
        dropped = [
            {"instance": name, **instance_to_json(one)}
            for name, (one, verdict) in zip(found.ids, pairs, strict=True)
            if verdict == "drop" and name in known
        ]
        said = replace(
            provenance,
            model=found.model,
            model_version=found.version,
            prompts={
                "decisions": [asdict(known[name]) for name in found.ids if name in known],
                "undecided": undecided or "",
            },
        )
        label, info = kept.label_map(), {"rejected": dropped}
        return self._desk.keep(found.image, tag, label, info, said, expected_parent=expected_parent)

    def _nbytes(self) -> int:
        held = (result.detections for result in self._known.values() if result.detections is not None)
        return sum(one.mask.nbytes for found in held for one in found.instances)


_WORDS: Mapping[str, Verdict | None] = {"kept": "keep", "dropped": "drop", "undecided": None}


def _about(found: Found, holder: str) -> About:
    return About(holder, found.image, found.model, found.version)

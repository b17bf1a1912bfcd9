"""Whether the loop pays, in one answer: cases, effort by round, versions with figures, the job that runs, what next.

It is asked for every few seconds while somebody looks. What takes time is therefore remembered until it changes:
intervals of a version's figures, which never change, and the sums over efforts and scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.learning.outlook import NEEDED, mean_dice, number, outlook
from tumorseg.errors import TumorSegError
from tumorseg.labels.rounds import by_case, rounds
from tumorseg.metrics.bootstrap import bootstrap_interval
from tumorseg.versions.types import SHIPPED

if TYPE_CHECKING:
    from tumorseg.adapters.workplace import Workplace
    from tumorseg.labels.efforts import Effort
    from tumorseg.versions.types import VersionCard

#: Versions of a model that are listed, the newest.
_MOST_VERSIONS = 50
_SEED, _RESAMPLES = 0, 2000
#: Of a job: what everybody may read who may open the page.
_OF_A_JOB = (
    "id",
    "kind",
    "status",
    "progress",
    "epoch",
    "total_epochs",
    "best_metric",
    "eta_s",
    "attempts",
    "error",
    "details",
)


class Summary:
    """Sums up one server; safe to ask from several threads.

    Args:
        place: what it works with.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._known: dict[str, tuple[object, Any]] = {}
        self._intervals: dict[tuple[str, str], tuple[float, float] | None] = {}

    def describe(self, *, names: bool) -> dict[str, Any]:
        """Return everything, JSON-able.

        Args:
            names: whether people may be named.
        """
        models = [self._model(name) for name in self._place.engine.models.names]
        said: dict[str, Any] = {
            "cases": self._cases(),
            "training": self._job("train", names),
            "scoring": self._job("score", names),
            "rounds": [self._round(one) for one in self._efforts("rounds", rounds)],
            "models": [_without_names(model) if not names else model for model in models],
            "trainers": list(self._place.learning.specs),
        }
        return {**said, "annotators": self._efforts("annotators", _annotators)} if names else said

    def _cases(self) -> dict[str, Any]:
        """Count images, those with a final label, and those of the rest that the serving model has scored."""
        datastore, config = self._place.datastore, self._place.config
        images = datastore.list_images()
        labelled = datastore.labels.done(FINAL)
        left = [image for image in images if image not in labelled]
        scored = self._place.strategies.pool.progress(left).get("scored")  # none where no model gives scores
        new = self._place.learning.new_labels()
        return {
            "images": len(images),
            "labelled": len(images) - len(left),
            "left": len(left),
            "scored": scored,
            "new_labels": new.get(config.default_model, max(new.values(), default=0)),
            "train_after": config.train_after,
        }

    def _job(self, kind: Any, names: bool) -> dict[str, Any] | None:
        """Describe the job that runs, else one that waits, else the last one."""
        said = self._place.learning.jobs.current(kind, only_open=False)
        if said is None:
            return None
        told = {name: said.get(name) for name in (*_OF_A_JOB, *(("who",) if names else ()))}
        return {**told, "model": said["request"].get("model", "")}

    def _efforts(self, name: str, summed: Callable[[list[Effort]], list[Any]]) -> list[Any]:
        efforts = self._place.effort.efforts
        found: list[Any] = self._remembered(name, efforts.stamp(), lambda: summed(efforts.list()))
        return found

    def _round(self, found: Any) -> dict[str, Any]:
        """Describe a round, with the id of its version where that is one of ours."""
        pool = self._place.engine.models
        # A site's own model may call itself otherwise than it is served as: its weights tell.
        names = sorted(pool.names, key=lambda name: name != found.model) if found.version else []
        card = next((card for name in names if (card := pool.versions.by_weights(name, found.version))), None)
        return {**asdict(found), "id": card.id if card else ""}

    def _model(self, name: str) -> dict[str, Any]:
        store = self._place.engine.models.versions
        cards = store.list(name)
        try:
            serving = self._place.engine.models.answering(name)
        except TumorSegError as error:
            serving = f"unknown: {error}"
        ahead = outlook((card for card in cards if card.how == "trained"), self._place.config.train_after)
        versions = [self._version(card, serving) for card in cards[:_MOST_VERSIONS]]
        return {
            "model": name,
            "serving": serving,
            "versions": [*versions, *([_shipped(serving)] if self._is_shipped(name, cards) else [])],
            "measurements": [list(point) for point in zip(ahead.labels, ahead.scores, strict=True)],
            "needed": NEEDED,
            "forecast": {**asdict(ahead.forecast), "stop": ahead.forecast.stop} if ahead.forecast else None,
            "outlook": ahead.text,
        }

    def _is_shipped(self, name: str, cards: Sequence[VersionCard]) -> bool:
        """Whether the model comes with weights, as far as is known: a site's own may not, or have them elsewhere."""
        spec = self._place.learning.specs.get(name)
        if spec is None or spec.weights.is_file():
            return True
        return any(card.parent == SHIPPED and mean_dice(card.measured, "champion") is not None for card in cards)

    def _version(self, card: VersionCard, serving: str) -> dict[str, Any]:
        said = card.measured
        low, high = self._interval(card) or (None, None)
        return {
            "id": card.id,
            "status": card.status,
            "how": card.how,
            "made_at": card.made_at,
            "made_by": card.made_by,
            "parent": card.parent,
            "why": card.why,
            "serves": card.id == serving,
            "trained_on": sum(case.part == "train" for case in card.cases),
            "validated_on": sum(case.part == "validation" for case in card.cases),
            "labelled_cases": number(said.get("labelled_cases")),
            "dice": mean_dice(said, "candidate"),
            "low": low,
            "high": high,
            "difference": {end: number(said.get(end)) for end in ("difference", "low", "high")},
        }

    def _interval(self, card: VersionCard) -> tuple[float, float] | None:
        """Return the interval of a version's mean Dice over its validation patients; None with fewer than two."""
        key = (card.model, card.id)
        if key not in self._intervals:
            said = card.measured.get("candidate")
            patients = said.get("patients") if isinstance(said, Mapping) else None
            scores = [number(value) for value in patients.values()] if isinstance(patients, Mapping) else []
            known = [score for score in scores if score is not None]
            rng = np.random.default_rng(_SEED)
            self._intervals[key] = bootstrap_interval(known, rng, resamples=_RESAMPLES) if len(known) > 1 else None
        return self._intervals[key]

    def _remembered(self, name: str, state: object, compute: Callable[[], Any]) -> Any:
        known = self._known.get(name)
        if known is None or known[0] != state:
            known = self._known[name] = (state, compute())
        return known[1]


def _shipped(serving: str) -> dict[str, Any]:
    """Describe the weights that come with the package, which have no card."""
    return {"id": SHIPPED, "status": "published", "how": SHIPPED, "serves": serving == SHIPPED}


def _without_names(model: dict[str, Any]) -> dict[str, Any]:
    plain = [{name: value for name, value in one.items() if name != "made_by"} for one in model["versions"]]
    return {**model, "versions": plain}


def _annotators(efforts: Iterable[Effort]) -> list[dict[str, Any]]:
    """Sum efforts up by who made them."""
    people: dict[str, list[Effort]] = {}
    for effort in by_case(efforts):
        people.setdefault(effort.author, []).append(effort)
    return [_annotator(name, cases) for name, cases in sorted(people.items())]


def _annotator(name: str, cases: list[Effort]) -> dict[str, Any]:
    times = [case.seconds for case in cases if case.seconds is not None]
    edits = [case.edit for case in cases if case.edit is not None]
    return {
        "name": name,
        "cases": len(cases),
        "seconds": median(times) if times else None,
        "dice": fmean(edit.dice for edit in edits) if edits else None,
        "unchanged": fmean(edit.unchanged for edit in edits) if edits else None,
    }

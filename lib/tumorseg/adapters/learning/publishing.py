"""From a candidate to a version: compared with what serves, published or refused, and either way written down."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.learning.contestants import Contestants
from tumorseg.adapters.learning.lineage import Lineage
from tumorseg.errors import ConflictError
from tumorseg.labels.records import now
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import CaseUsed, VersionCard

if TYPE_CHECKING:
    from pathlib import Path

    from tumorseg.adapters.jobs.types import Job
    from tumorseg.adapters.learning.contestants import Contestant
    from tumorseg.adapters.learning.measure import Measurements
    from tumorseg.adapters.learning.snapshot import Snapshot
    from tumorseg.config import AppConfig
    from tumorseg.training.challenge import Verdict

#: From this part of the new masks on that cannot be right, the others are not believed either.
POISONED = 0.5


class Publishing:
    """The versions of one training's model.

    Args:
        config: of the server.
        job: the training.

    Attributes:
        store: all versions.
    """

    def __init__(self, config: AppConfig, job: Job) -> None:
        self._config, self._job = config, job
        self.store = VersionStore(config.state / "weights")
        self._lineage = Lineage(self.store, job.model)
        self._contestants = Contestants(config, self.store, job.model)

    def start(self) -> Path | None:
        """Return the weights that serve; None where nothing does, or the model does not say which they are."""
        champion = self._contestants.serving()
        return champion.weights if champion else None

    def made(self) -> VersionCard | None:
        """Return the version that an earlier attempt of this job made, None where none did.

        One whose publishing was cut off before it served is not made: it is compared and published again as a whole.
        """
        cards = self.store.list(self._job.model)
        return next((card for card in cards if card.measured.get("job") == self._job.id), None)

    def refuse_poisoned(self, snapshot: Snapshot) -> VersionCard | None:
        """Refuse a round whose labels are mostly wrong; None where they are not.

        Asked is among the labels that no version before has learned from: where at least half of them mark most of
        their image, whoever saved those saved the others too.
        """
        learned, passed = self._lineage.learned()
        new = [case for case in snapshot.cases if (case.image, case.sha256) not in learned]
        wrong = [label for label in snapshot.left_out if label.implausible and label.label not in passed]
        if not wrong or len(wrong) < POISONED * (len(wrong) + len(new)):
            return None
        images = ", ".join(label.image for label in wrong[:5])
        why = (
            f"refused: {len(wrong)} of {len(wrong) + len(new)} new masks mark most of their image ({images}), so the "
            "others are not trusted either: were they inverted? Correct them and train again. Nothing was trained"
        )
        return self.store.refuse(self._card(snapshot, "", self.store.serving(self._job.model), False, why, {}))

    def challenge(
        self, snapshot: Snapshot, candidate: Path, measurements: Measurements, say: Callable[[str], None]
    ) -> VersionCard:
        """Compare a candidate with what serves and publish or refuse it.

        Args:
            snapshot: what it learned from.
            candidate: its weights.
            measurements: measures both.
            say: takes lines for people.
        """
        while True:
            card = self._compared(snapshot, candidate, measurements)
            try:
                if card.status == "published":
                    return self.store.publish(card, candidate, compared=True)
                if self.store.serving(card.model) == card.parent:
                    return self.store.refuse(card)
            except ConflictError:
                pass
            say(f"{self.store.serving(card.model)} serves by now and not {card.parent}: comparing with that")

    def _compared(self, snapshot: Snapshot, candidate: Path, measurements: Measurements) -> VersionCard:
        """Compare a candidate with what serves now; nothing is kept yet."""
        parent = self.store.serving(self._job.model)
        champion, challenger = self._contestants.serving(), self._contestants.of(candidate)
        old, new = (_measure(one, snapshot, measurements) for one in (champion, challenger))
        verdict = self._duel(old, new, snapshot)
        figures = _figures(verdict, old.every, new.every)
        anchor = self._lineage.anchor()
        if verdict.publish and anchor != parent and (held := self._contestants.version(anchor)) is not None:
            drift = self._duel(_measure(held, snapshot, measurements), new, snapshot)
            figures["anchor"] = {"version": anchor, **_interval(drift)}
            if not drift.publish:
                why = f"{drift.why}; that is against {anchor}, the last version that was better beyond doubt"
                verdict = replace(verdict, publish=False, why=why)
        lesions = snapshot.lesions("validation")
        figures["unchanged"] = 0 if champion is None else measurements.exact(champion.name, lesions)
        why = verdict.why + ("" if verdict.publish else _favoured(figures["unchanged"], len(lesions)))
        return self._card(snapshot, challenger.name, parent, verdict.publish, why, figures)

    def _duel(self, old: _Measured, new: _Measured, snapshot: Snapshot) -> Verdict:
        from tumorseg.training.challenge import decide

        settled = self._settled(snapshot.of("validation"))
        lesions = (old.lesions, new.lesions)
        return decide(old.every, new.every, settled=settled, lesions=lesions, margin=self._config.train_margin)

    def _settled(self, cases: list[CaseUsed]) -> set[str]:
        """Return the patients all of whose labels stood when the serving version was published."""
        learned, _ = self._lineage.learned()
        changed = {case.patient for case in cases if (case.image, case.sha256) not in learned}
        return {case.patient for case in cases} - changed

    def _card(
        self, snapshot: Snapshot, sha256: str, parent: str, publish: bool, why: str, figures: dict[str, Any]
    ) -> VersionCard:
        return VersionCard(
            id=self.store.new_id(self._job.model, sha256),
            model=self._job.model,
            sha256=sha256,
            made_at=now(),
            made_by=self._job.who,
            how="trained",
            parent=parent,
            status="published" if publish else "refused",
            cases=snapshot.cases,
            measured={
                "job": self._job.id,
                "labelled_cases": len(snapshot.cases),
                "left_out": [asdict(label) for label in snapshot.left_out],
                **figures,
            },
            why=why,
        )


@dataclass(frozen=True)
class _Measured:
    """Dice of one model by validation patient.

    Attributes:
        every: over all images of a patient.
        lesions: over those that show one; patients without any are left out.
    """

    every: dict[str, float]
    lesions: dict[str, float]


def _measure(one: Contestant | None, snapshot: Snapshot, measurements: Measurements) -> _Measured:
    """Measure a model, nothing where there is none."""
    if one is None:
        return _Measured({}, {})
    every = measurements.by_patient(one.name, one.make, snapshot.of("validation"))
    return _Measured(every, measurements.by_patient(one.name, one.make, snapshot.lesions("validation")))


def _favoured(unchanged: int, labels: int) -> str:
    """Say how many labels the champion cannot miss."""
    if not unchanged:
        return ""
    return (
        f"; {unchanged} of the {labels} labels with a lesion that this was measured on are the serving model's own "
        "answer, accepted as it was, which favours that model"
    )


def _figures(verdict: Verdict, champion: dict[str, float], candidate: dict[str, float]) -> dict[str, Any]:
    """Return a comparison as JSON can hold it: None where there is no number."""
    return {
        "champion": _measured(champion),
        "candidate": _measured(candidate),
        **_interval(verdict),
        "patients": verdict.patients,
    }


def _interval(verdict: Verdict) -> dict[str, float | bool | None]:
    ends = {"difference": verdict.difference, "low": verdict.low, "high": verdict.high}
    return {**{name: _number(value) for name, value in ends.items()}, "better": verdict.better}


def _measured(values: dict[str, float]) -> dict[str, Any]:
    """Return the mean Dice of a model, and that on each patient."""
    mean = _number(sum(values.values()) / len(values)) if values else None
    return {"mean": mean, "patients": {patient: _number(value) for patient, value in values.items()}}


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None

"""The job of scoring: what is stored is not done again, what is stale is, and one bad image stops nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny
from tests.serving import EXTRA_MODELS, config_for
from tumorseg.active_learning.store import ScoreStore
from tumorseg.active_learning.types import DETECTION_MARGIN, EMBEDDING, ENTROPY, FOREGROUND, MARGIN, TTA
from tumorseg.adapters.jobs.types import Job
from tumorseg.adapters.learning.score import run, scores_path
from tumorseg.adapters.models import ModelPool
from tumorseg.config import AppConfig
from tumorseg.errors import InputError
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import VersionCard

ONE_LOOK = frozenset({ENTROPY, MARGIN, FOREGROUND})
STUDIES = ("a", "b", "c", "d")


class Notes:
    """A reporter that keeps what it was told; told to stop, it says so after so many images."""

    def __init__(self, folder: Path, stop_after: int | None = None) -> None:
        self.folder, self.stop_after = folder, stop_after
        self.lines: list[str] = []
        self.fractions: list[float] = []
        self.values: dict[str, Any] = {}

    def line(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, fraction: float, *, epoch: int = 0, epochs: int = 0, metric: float | None = None) -> None:
        self.fractions.append(fraction)

    def stopped(self) -> bool:
        return self.stop_after is not None and len(self.fractions) >= self.stop_after

    def result(self, values: Mapping[str, Any]) -> None:
        self.values.update(values)


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    tiny.write_studies(tmp_path / "studies", STUDIES)
    extra = f"{tiny.EXTRA_MODELS},{EXTRA_MODELS}"
    return config_for(
        tmp_path / "studies", tmp_path, models="tiny", extra_models=extra, labels=tmp_path / "labels", device="cpu"
    )


def score(config: AppConfig, *columns: str, model: str = "tiny", stop_after: int | None = None) -> Notes:
    notes = Notes(config.state, stop_after)
    run(Job("1", "score", model, {"columns": list(columns)}, "ann", time.time()), config, notes)
    return notes


def known(config: AppConfig, model: str = "tiny") -> dict[str, Any]:
    version = ModelPool(config).get(model).version
    return ScoreStore(scores_path(config.state)).known(model, version)


def test_every_image_gets_what_one_plain_look_gives(config: AppConfig) -> None:
    notes = score(config)
    rows = known(config)
    assert set(rows) == set(STUDIES)
    assert all(set(row.columns) == {ENTROPY, MARGIN, FOREGROUND} and row.embedding is not None for row in rows.values())
    assert notes.fractions == [0.25, 0.5, 0.75, 1.0]
    assert (notes.values["scored"], notes.values["skipped"], notes.values["images"]) == (4, 0, 4)
    assert len({row.columns[ENTROPY] for row in rows.values()}) == 4


def test_what_was_stored_before_a_stop_is_not_done_again(config: AppConfig) -> None:
    stopped = score(config, ENTROPY, stop_after=1)
    assert set(known(config)) == {"a"}
    assert stopped.values == {}  # a result would say that it was through
    went_on = score(config, ENTROPY)
    assert went_on.values["scored"] == 3
    assert set(known(config)) == set(STUDIES)
    assert score(config, ENTROPY).values["scored"] == 0


def test_a_column_that_is_wanted_later_is_added(config: AppConfig) -> None:
    assert score(config, ENTROPY).values["columns"] == sorted(ONE_LOOK)  # for the price of one
    assert score(config, MARGIN).values["scored"] == 0
    score(config, TTA, EMBEDDING)
    assert {frozenset(row.columns) for row in known(config).values()} == {ONE_LOOK | {TTA}}
    assert all(row.embedding is not None for row in known(config).values())


def test_a_changed_image_is_scored_again_and_no_other(config: AppConfig) -> None:
    score(config, ENTROPY)
    before = known(config)
    tiny.write_studies(Path(config.studies), ["b"], shape=(6, 32, 48))
    assert score(config, ENTROPY).values["scored"] == 1
    after = known(config)
    assert after["b"].fingerprint != before["b"].fingerprint
    assert {name: row.columns for name, row in after.items() if name != "b"} == {
        name: row.columns for name, row in before.items() if name != "b"
    }


def publish(config: AppConfig, file: Path, seed: int) -> None:
    """Let other weights serve."""
    versions, weights = VersionStore(config.state / "weights"), tiny.first_weights(file, seed)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    at = datetime.now(UTC).isoformat()
    card = VersionCard(
        versions.new_id("tiny", digest), "tiny", digest, at, "ann", "uploaded", versions.serving("tiny"), "published"
    )
    versions.publish(card, weights)


def test_of_a_new_version_all_is_asked_anew(config: AppConfig, tmp_path: Path) -> None:
    score(config, ENTROPY)
    before = {name: row.columns[ENTROPY] for name, row in known(config).items()}
    publish(config, tmp_path / "1.safetensors", 1)
    assert known(config) == {}  # the old version's scores count no longer
    assert score(config, ENTROPY).values["scored"] == 4
    after = {name: row.columns[ENTROPY] for name, row in known(config).items()}
    assert set(after) == set(before)
    assert all(after[name] != before[name] for name in before)


def test_a_version_that_is_published_meanwhile_is_followed(config: AppConfig, tmp_path: Path) -> None:
    class Published(Notes):
        def progress(self, fraction: float, **more: Any) -> None:
            super().progress(fraction, **more)
            if len(self.fractions) == 2:
                publish(config, tmp_path / "1.safetensors", 1)

    notes = Published(config.state)
    run(Job("1", "score", "tiny", {"columns": [ENTROPY]}, "ann", time.time()), config, notes)
    assert len(notes.fractions) == 2 + 4
    assert set(known(config)) == set(STUDIES)  # of the version that serves now
    assert notes.values["version"] == ModelPool(config).get("tiny").version


def test_an_image_that_cannot_be_read_is_named_and_left_out(config: AppConfig) -> None:
    Path(config.studies, "b.nii.gz").write_bytes(b"no image at all")
    notes = score(config, ENTROPY)
    assert set(known(config)) == {"a", "c", "d"}
    assert notes.values["skipped"] == 1
    assert any(line.startswith("b is left out") for line in notes.lines)


def test_not_one_image_that_can_be_read_is_an_error(config: AppConfig) -> None:
    for name in STUDIES:
        Path(config.studies, f"{name}.nii.gz").write_bytes(b"no image at all")
    with pytest.raises(InputError, match=r"none of 4 images could be scored; the first: a"):
        score(config, ENTROPY)


def test_images_without_a_label_come_first_and_a_labelled_one_only_for_its_vector(config: AppConfig) -> None:
    final = Path(str(config.labels), "final")
    final.mkdir(parents=True)
    tiny.write_mask(final / "a.nii.gz", tiny.study("a"))
    score(config, ENTROPY, EMBEDDING, stop_after=1)
    assert set(known(config)) == {"b"}
    score(config, ENTROPY, EMBEDDING)
    rows = known(config)
    assert rows["a"].embedding is not None
    assert not rows["a"].columns
    assert score(config, ENTROPY).values["scored"] == 0


def test_a_model_that_cannot_be_asked_says_so_and_ends_well(config: AppConfig) -> None:
    config = config_for(config.studies, Path(config.state).parent, labels=config.labels)
    notes = score(config, ENTROPY, model="threshold")
    assert "cannot be asked" in " ".join(notes.lines)
    assert notes.values["columns"] == []


def test_a_column_that_the_model_does_not_give_is_left_out(config: AppConfig) -> None:
    notes = score(config, ENTROPY, DETECTION_MARGIN)
    assert "tiny gives no detection_margin" in " ".join(notes.lines)
    assert notes.values["columns"] == sorted(ONE_LOOK)


def test_a_detector_is_asked_for_its_findings(config: AppConfig) -> None:
    config = config_for(config.studies, Path(config.state).parent, models="blobs", labels=config.labels)
    score(config, model="blobs")
    rows = known(config, "blobs")
    assert set(rows) == set(STUDIES)
    assert all(0 < row.columns[DETECTION_MARGIN] <= 1 for row in rows.values())
    assert all(row.embedding is None for row in rows.values())


def test_scores_are_finite(config: AppConfig) -> None:
    score(config)
    assert all(np.isfinite(list(row.columns.values())).all() for row in known(config).values())

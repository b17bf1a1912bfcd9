"""A saved label is made again from its prompts, or it is said why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.clicking import IMAGE, bright, write_balls
from tests.interactive.balls import Balls
from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.interactive.keeper import PromptKeeper
from tumorseg.adapters.interactive.looks import Look
from tumorseg.adapters.interactive.records import Segment, packed, read, record_of, unpacked, write
from tumorseg.adapters.interactive.replaying import Replayer
from tumorseg.adapters.interactive.sessions import Entries, Entry
from tumorseg.adapters.label_desk import LabelDesk
from tumorseg.adapters.label_export import export_labels
from tumorseg.cli import app
from tumorseg.config import AppConfig
from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Click
from tumorseg.interactive.session import PromptSession
from tumorseg.io.memory_cache import MemoryCache
from tumorseg.labels.types import LabelVersion, Provenance
from tumorseg.types import Segmentation

FIRST, SECOND = (8, 8, 2), (24, 14, 3)
MODEL = Balls()


class Work:
    """A study with a label desk, and what somebody clicked on it."""

    def __init__(self, studies: Path) -> None:
        self.studies = studies
        self.desk = LabelDesk.open(AppConfig.parse(studies, {}, {}))
        image, grid = self.desk.source.read(IMAGE, MODEL.channels)
        self.look = Look(None, "", MODEL.encode(image), ImagePlace(grid, True), ())
        self.keeper = PromptKeeper(
            self.desk.store.history, Entries(MemoryCache[Look](0, lambda look: look.nbytes), 1 << 30, 60.0)
        )

    def entry(self, start: Any, name: str, *clicks: Click, packs: bool = False) -> Entry:
        session = PromptSession(MODEL, self.look.encoded, start, name, image=IMAGE, label="tumor")
        session.follow(clicks)
        return Entry("ann", IMAGE, "tumor", self.look, session, packed(start) if packs else None)

    def save(self, entry: Entry, mask: Any = None) -> LabelVersion:
        voxels = (entry.session.mask if mask is None else mask).astype(np.uint8)
        drawn = Segmentation(voxels, self.look.place.grid, {"tumor": 1})
        version = self.desk.keep(IMAGE, "final", drawn, {}, Provenance("ann"))
        self.keeper.keep(version, [entry])
        return version

    def replay(self, version: LabelVersion, factory: str = "tests.interactive.balls:build_balls") -> tuple[int, Any]:
        words = ["labels", "replay", str(self.studies), IMAGE, version.uid, "--json"]
        result = CliRunner().invoke(app, words, env={"TUMORSEG_EXTRA_INTERACTIVE": f"balls={factory}"})
        assert result.exit_code in (0, 1), result.output
        said = json.loads(result.stdout)
        (segment,) = said["segments"]
        return result.exit_code, segment


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    (tmp_path / "studies").mkdir()
    write_balls(tmp_path / "studies" / f"{IMAGE}.nii.gz")
    made = Work(tmp_path / "studies")
    yield made
    made.desk.close()


def test_weights_of_the_users_own_are_taken_where_they_are_named(work: Work, tmp_path: Path) -> None:
    weights = tmp_path / "weights.txt"
    weights.write_text("800")
    model = Balls(800.0)
    start = np.zeros(work.look.encoded.shape, bool)
    session = PromptSession(model, work.look.encoded, start, "nothing", image=IMAGE, label="tumor")
    session.add(Click(FIRST))
    version = work.save(Entry("ann", IMAGE, "tumor", work.look, session))
    named = {"balls": "tests.interactive.balls:build_balls"}
    (said,) = Replayer(work.desk, named, "cpu", {"balls": weights}).version(IMAGE, version.uid)
    assert (said.verdict, said.why) == ("same", "")


def build_other(weights: Any = None, device: str = "auto") -> Balls:
    """Another version."""
    return Balls(radius=5)


def build_drifting(weights: Any = None, device: str = "auto") -> Balls:
    """Says that it is the same version, and is not."""

    class Drifting(Balls):
        version = MODEL.version  # type: ignore[assignment]

    return Drifting(radius=2)


def test_the_same_prompts_give_the_same_mask(work: Work) -> None:
    version = work.save(work.entry(bright(), "auto", Click(SECOND, positive=False)))
    code, said = work.replay(version)
    assert (code, said["verdict"], said["edited"], said["prompts"]) == (0, "same", 0, 1)


def test_what_was_changed_by_hand_afterwards_is_counted(work: Work) -> None:
    entry = work.entry(np.zeros(bright().shape, bool), "nothing", Click(FIRST))
    changed = entry.session.mask.copy()
    changed[0, 0, :7] = True
    assert work.replay(work.save(entry, changed))[1]["edited"] == 7


def test_a_mask_that_began_with_a_saved_label_or_with_what_was_shown(work: Work) -> None:
    first = work.save(work.entry(np.zeros(bright().shape, bool), "nothing", Click(FIRST)))
    start = work.entry(np.zeros(bright().shape, bool), "nothing", Click(FIRST)).session.mask
    second = work.save(work.entry(start, first.uid, Click(SECOND)))
    assert work.replay(second)[1]["verdict"] == "same"
    drawn = np.roll(bright(), 1, axis=2)
    third = work.save(work.entry(drawn, "shown", Click(FIRST), packs=True))
    assert work.replay(third)[1]["verdict"] == "same"


@pytest.mark.parametrize(
    ("factory", "verdict", "why"),
    [("build_other", "gone", "is gone"), ("build_drifting", "differs", "step 1 of 1")],
)
def test_another_version_and_another_answer_are_told(work: Work, factory: str, verdict: str, why: str) -> None:
    version = work.save(work.entry(np.zeros(bright().shape, bool), "nothing", Click(FIRST)))
    code, said = work.replay(version, f"{__name__}:{factory}")
    assert (code, said["verdict"]) == (1, verdict)
    assert why in said["why"]


def test_a_version_that_nobody_clicked_for_has_nothing_to_replay(work: Work) -> None:
    version = work.save(work.entry(bright(), "auto"))
    result = CliRunner().invoke(app, ["labels", "replay", str(work.studies), IMAGE, version.uid])
    assert result.exit_code == 2
    assert "no prompts" in result.stderr


def test_prompts_are_exported_with_their_label(work: Work, tmp_path: Path) -> None:
    entry = work.entry(bright(), "auto", Click(SECOND, positive=False))
    work.save(entry)
    export_labels(work.desk, tmp_path / "out", "final")
    assert (tmp_path / "out" / f"{IMAGE}.prompts.json").read_text() == record_of([entry])


def test_a_record_reads_back_and_a_damaged_one_says_so(work: Work) -> None:
    entry = work.entry(bright(), "shown", Click(FIRST), packs=True)
    (segment,) = read(str(record_of([entry])))
    assert segment == Segment(entry.session.log(), entry.start)
    assert np.array_equal(unpacked(segment.start or b"", bright().shape), bright())
    text = write([segment])
    for bad in (
        text[:-9],
        "[]",
        "{}",
        text.replace('"schema": 1', '"schema": 7', 1),
        '{"schema": 1, "segments": [{}]}',
    ):
        with pytest.raises(InputError, match="expected"):
            read(bad)
    for damaged in (b"", b"nothing", packed(bright())[:-4], packed(bright()[:1])):
        with pytest.raises(InputError, match="packed mask"):
            unpacked(damaged, bright().shape)


def test_a_record_of_nothing_is_none(work: Work) -> None:
    assert record_of([work.entry(bright(), "auto")]) is None

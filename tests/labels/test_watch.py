"""Behind a server's requests somebody looks at what other tools put among the labels."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labels.made import ANNA, label
from tumorseg.labels import watch
from tumorseg.labels.history import LabelHistory
from tumorseg.labels.layout import PlainLayout
from tumorseg.labels.watch import Watch


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 0.01)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def watching() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "watch labels"}


def test_what_is_put_there_becomes_a_label_and_no_request_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = LabelHistory(tmp_path / "labels")
    label(history.root / "final" / "old.nii.gz")
    looking: set[str] = set()
    states = PlainLayout.states
    monkeypatch.setattr(
        PlainLayout, "states", lambda self, tag: looking.add(threading.current_thread().name) or states(self, tag)
    )
    seen = Watch(history.copies)
    seen.start()
    try:
        wait_for(lambda: history.counts() == {"final": 1})
        label(history.root / "final" / "new.nii.gz", 2)
        wait_for(lambda: history.counts() == {"final": 2})
    finally:
        seen.stop()
    assert looking == {"watch labels"}
    label(history.root / "final" / "later.nii.gz", 3)
    wait_for(lambda: history.counts() == {"final": 3})


def test_it_goes_on_after_a_disk_was_away(tmp_path: Path) -> None:
    history = LabelHistory(tmp_path / "labels")
    history.save("case", "final", label(tmp_path / "a.nii.gz"), ANNA)
    seen = Watch(history.copies)
    seen.start()
    try:
        history.root.rename(tmp_path / "away")
        time.sleep(0.1)
        (tmp_path / "away").rename(history.root)
        label(history.root / "final" / "new.nii.gz", 2)
        wait_for(lambda: history.counts() == {"final": 2})
    finally:
        seen.stop()


def test_it_ends_with_the_history_that_it_watches(tmp_path: Path) -> None:
    before = watching()
    history = LabelHistory(tmp_path / "labels")
    seen = Watch(history.copies)
    seen.start()
    (own,) = watching() - before  # servers of other tests may end, and their watches with them, at any moment
    del history, seen

    def is_over() -> bool:
        gc.collect()  # anew each time: what the thread held while it looked is garbage only once it has looked
        return not own.is_alive()

    wait_for(is_over)

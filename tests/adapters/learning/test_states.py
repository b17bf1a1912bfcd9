"""Whether an image has changed is known without reading it, and without any request waiting for a slow disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tumorseg.adapters.learning import states as module
from tumorseg.adapters.learning.states import ImageStates
from tumorseg.adapters.sources import FileSource
from tumorseg.errors import UnavailableError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.write_studies(tmp_path / "studies", ["a", "b"])
    return tmp_path / "studies"


def wait_for(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_file_that_is_written_anew_has_another_state_and_no_other_does(folder: Path) -> None:
    states = ImageStates(FileSource(folder))
    before = dict(states.current())
    tiny.write_studies(folder, ["a"], shape=(6, 32, 48))
    assert states.now("a") != before["a"]
    assert states.now("b") == before["b"]
    assert states.now("never") is None
    states.close()


def test_servers_that_see_the_folder_under_another_path_agree(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted").symlink_to(folder)
    assert FileSource(tmp_path / "mounted").states(["a", "b"]) == FileSource(folder).states(["a", "b"])


def test_what_changed_is_seen_by_the_next_look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = ImageStates(FileSource(folder))
    before = states.current()["a"]
    tiny.write_studies(folder, ["a"], shape=(6, 32, 48))
    assert states.current()["a"] == before  # not looked at again at once
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.0)
    wait_for(lambda: states.current()["a"] != before)
    states.close()


class Slow(FileSource):
    """A disk that answers when it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.answer = threading.Event()

    def states(self, image_ids: Sequence[str]) -> dict[str, str]:
        assert self.answer.wait(60)
        return super().states(image_ids)


def test_nobody_waits_for_a_slow_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_LOOK_S", 0.01)
    source = Slow(folder)
    states = ImageStates(source)
    assert dict(states.current()) == {}  # nothing counts that nobody has looked at
    source.answer.set()
    wait_for(lambda: set(states.current()) == {"a", "b"})
    states.close()


class Gone(FileSource):
    """An archive that does not answer."""

    def states(self, image_ids: Sequence[str]) -> dict[str, str]:
        raise UnavailableError("the archive does not answer")


def test_an_archive_that_does_not_answer_is_said_and_stops_nothing(folder: Path, caplog: Any) -> None:
    states = ImageStates(Gone(folder))
    assert dict(states.current()) == {}
    assert states.now("a") is None
    assert "does not answer" in caplog.text
    states.close()


def test_a_machine_without_a_thread_to_spare_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock stayed held: no score counted until the next restart, and the request was an error."""

    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    states = ImageStates(FileSource(folder))
    monkeypatch.setattr("tumorseg.adapters.learning.states.FIRST_LOOK_S", 0.0)
    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", none_left)
        assert states.current() == {}
        states.close()
    states._closed = False
    monkeypatch.setattr("tumorseg.adapters.learning.states.FIRST_LOOK_S", 60.0)
    assert states.current()
    states.close()

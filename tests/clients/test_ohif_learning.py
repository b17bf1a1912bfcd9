"""OHIF's part "Active Learning": it opens the case that the chosen strategy names, trains, stops and says how far."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import pytest

from tests import tiny
from tests.clients.ohif_learning import LearningTab, Sent
from tests.clients.ohif_viewer import Viewer, viewer
from tests.dicom.phantoms import write_dicom_series
from tests.serving import live
from tumorseg.geometry import Grid, flip_ras_lps
from tumorseg.registry import DEFAULT_STRATEGY

pytestmark = pytest.mark.timeout(900)

#: By hash p0 is who validates; those without a label are there to be asked for.
LABELLED, LEFT = ("p0", "p1", "p2", "p3"), ("p4", "p5")
#: Large enough that a training lasts: it may not end before it is looked at and stopped.
SHAPE = (24, 96, 96)
LIMIT_S = 120


@pytest.fixture
def held(tmp_path: Path) -> Iterator[IO[str]]:
    """Hold the lock of the jobs, as another server that runs them does; they wait until it is closed."""
    file = tmp_path / "state" / "jobs" / "lock"
    file.parent.mkdir(parents=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


@pytest.fixture
def server(browser: Any, held: IO[str], tmp_path: Path) -> Iterator[str]:
    """Serve made-up patients as DICOM, and a model that can be trained on them."""
    for name in (*LABELLED, *LEFT):
        made = tiny.study(name, SHAPE)
        grid = Grid(SHAPE, flip_ras_lps(made.affine))
        said = {"PatientName": name, "PatientID": name, "SeriesDescription": "FLAIR"}
        write_dicom_series(tmp_path / "studies" / name, grid, made.image.round().astype(np.int16), **said)
    conf = {"models": "tiny", "extra_models": tiny.EXTRA_MODELS, "train_threads": 1, "train_nice": 0, "device": "cpu"}
    with live(tmp_path / "studies", tmp_path, **conf) as address:
        yield address


@pytest.fixture
def window(browser: Any, server: str) -> Iterator[Viewer]:
    with viewer(browser, server) as opened:
        opened.open_study("p0")
        opened.connect()
        yield opened


@pytest.fixture
def tab(window: Viewer) -> LearningTab:
    found = LearningTab(window)
    found.open()
    return found


def label(server: str, folder: Path, names: tuple[str, ...]) -> None:
    """Save the true masks of these patients, with the class that the model learns."""
    images = {
        said["image"]["info"]["PatientID"]: image
        for image, said in httpx.get(f"{server}/datastore/", params={"output": "all"}).json()["objects"].items()
    }
    params = json.dumps({"label_info": [{"name": "tumour", "idx": 1}]})
    for name in names:
        file = tiny.write_mask(folder / f"{name}.nii.gz", tiny.study(name, SHAPE)).read_bytes()
        answer = httpx.put(
            f"{server}/datastore/label",
            params={"image": images[name]},
            data={"params": params},
            files={"label": (f"{name}.nii.gz", file)},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text


def stats(server: str) -> dict[str, Any]:
    """Return what ``/info/`` says about the training."""
    return dict(httpx.get(f"{server}/info/", timeout=60).json()["train_stats"]["tiny"])


def until(ask: Callable[[], Any], what: str) -> Any:
    """Ask until there is an answer."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.1)
    raise TimeoutError(what)


def test_the_panel_trains_stops_and_opens_the_case_that_the_chosen_strategy_names(
    server: str, held: IO[str], window: Viewer, tab: LearningTab, tmp_path: Path
) -> None:
    """One server and one window for all of it: they take longer to start than anything that is done with them."""
    train_and_stop(server, held, window, tab, tmp_path)
    ask_and_open(server, window, tab, tmp_path)


def train_and_stop(server: str, held: IO[str], window: Viewer, tab: LearningTab, tmp_path: Path) -> None:
    """Press the button that trains, and then stops, and look at the bars; leaves four labels."""
    assert tab.bar("Annotated") == ("0%", "0/6 samples annotated")
    assert tab.bar("Training") == ("0%", "Not Running")
    assert tab.bar("Train Acc") == ("0%", "not determined")
    assert tab.train("Update Model") == 422
    tab.wait_for_notice("Failed to RUN training: expected labels to learn from")
    label(server, tmp_path, LABELLED)

    # It waits for its turn, and somebody else stops it: the uncorrected panel says 1 of 1, and still offers to stop.
    assert tab.train("Update Model") == 200
    tab.wait_for_button("Stop Training")
    tab.refresh()
    until(lambda: tab.bar("Training") == ("0%", "0/1 epochs completed"), "the bar stays")
    assert httpx.delete(f"{server}/train/").json()["status"] == "STOPPED"
    tab.refresh()
    tab.wait_for_button("Update Model")

    # It trains.
    held.close()
    assert tab.train("Update Model") == 200
    tab.wait_for_button("Stop Training")
    until(lambda: stats(server)["epoch"], "the training does not begin")
    tab.refresh()
    until(lambda: tab.bar("Training")[1] not in ("Not Running", "0/1 epochs completed"), "the bar stays")
    now, (shown, tip) = stats(server), tab.bar("Training")
    epoch, total = (int(number) for number in tip.removesuffix(" epochs completed").split("/"))
    assert "total_time" not in now, "the training is too short for this test"
    assert 1 <= epoch <= now["epoch"]
    assert (total, shown) == (now["total_epochs"], f"{round(100 * epoch / total)}%")
    assert tab.bar("Annotated") == ("67%", "4/6 samples annotated")
    colour, fill = tab.filled("Annotated")
    assert colour == "rgb(0, 0, 0)"  # the uncorrected panel writes white on white
    assert "67%" in fill

    assert tab.train("Stop Training") == 200
    tab.wait_for_button("Update Model")
    assert httpx.get(f"{server}/train/").json()["status"] == "STOPPED"
    tab.refresh()
    until(lambda: tab.bar("Training") == ("0%", "Not Running"), "the bar stays")
    assert [(one.method, one.path) for one in tab.sent] == [("POST", "/train/")] * 3 + [("DELETE", "/train/")]
    assert {one.body for one in tab.sent if one.method == "POST"} == {"{}"}


def ask_and_open(server: str, window: Viewer, tab: LearningTab, tmp_path: Path) -> None:
    """Ask for cases until none is left; the uncorrected panel then opens the study "undefined"."""
    tab.sent.clear()
    assert tab.strategies == list(httpx.get(f"{server}/info/").json()["strategies"])
    assert tab.strategy == DEFAULT_STRATEGY
    tab.next_sample()
    window.page.keyboard.press("Escape")
    tab.choose("in_order")
    given = tab.next_sample()
    assert tab.sent == [Sent("POST", f"/activelearning/{name}", "{}") for name in (DEFAULT_STRATEGY, "in_order")]
    assert given["PatientID"] in LEFT
    tab.open_the_study()
    assert window.page.url.endswith(f"?StudyInstanceUIDs={given['StudyInstanceUID']}")
    assert window.series_uid == given["SeriesInstanceUID"]

    label(server, tmp_path, LEFT)
    window.connect()
    tab.open()
    until(lambda: tab.bar("Annotated") == ("100%", "6/6 samples annotated"), "the bar stays")
    assert tab.next_sample() == {}
    tab.wait_for_notice("Nothing to open: all-labelled")
    assert not window.page.locator(".nextSampleForm").is_visible()
    assert window.errors == []

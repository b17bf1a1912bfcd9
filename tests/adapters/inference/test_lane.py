"""Clicks go before volumes, take turns, and reach nobody who hung up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.adapters.inference.stand_in import PATIENCE_S, Probe, until
from tumorseg.adapters.inference import InferenceQueue, JobReport
from tumorseg.adapters.inference.lane import Lane
from tumorseg.errors import UnavailableError


@pytest.fixture
def queue() -> Iterator[InferenceQueue]:
    made = InferenceQueue(16)
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_click_waits_for_a_slice_and_not_for_the_volume(queue: InferenceQueue, gate: threading.Event) -> None:
    volume = Probe("volume", gate=gate)
    ticket = queue.submit(volume, None)
    assert volume.started.wait(PATIENCE_S)
    thread = queue.urgent("cpu", "clicks", lambda: threading.current_thread().name).result(PATIENCE_S)
    assert thread == "inference-cpu", "whatever drives a network does so in the worker of its device"
    assert not ticket.done()
    gate.set()
    assert ticket.result(PATIENCE_S) == ("volume", None)


def test_a_click_goes_before_the_volumes_that_wait(queue: InferenceQueue, gate: threading.Event) -> None:
    first, second = Probe("first", gate=gate), Probe("second")
    order: list[str] = []
    queue.submit(first, None)
    assert first.started.wait(PATIENCE_S)
    waits = queue.submit(second, None)
    assert second.read.wait(PATIENCE_S)
    click = queue.urgent("cpu", "clicks", lambda: order.append("second ran" if second.runs else "click"))
    gate.set()
    click.result(PATIENCE_S)
    waits.result(PATIENCE_S)
    assert order == ["click"]


def test_a_volume_has_its_turn_although_somebody_always_clicks(queue: InferenceQueue) -> None:
    over = threading.Event()

    def click() -> None:
        if not over.is_set():
            queue.urgent("cpu", "clicks", click)

    click()
    try:
        assert queue.submit(Probe("volume"), None).result(PATIENCE_S) == ("volume", None)
    finally:
        over.set()


def test_a_device_without_any_volume_answers_too(queue: InferenceQueue) -> None:
    assert queue.urgent("cpu", "clicks", lambda: 7).result(PATIENCE_S) == 7


def test_an_error_is_of_who_asked_and_the_worker_goes_on(queue: InferenceQueue) -> None:
    def fail() -> None:
        raise ValueError("no such voxel")

    with pytest.raises(ValueError, match="no such voxel"):
        queue.urgent("cpu", "clicks", fail).result(PATIENCE_S)
    assert queue.urgent("cpu", "clicks", lambda: 7).result(PATIENCE_S) == 7


def test_callers_take_turns() -> None:
    lane, done = Lane(16), list[str]()
    for caller, work in [("ann", "a1"), ("ann", "a2"), ("ann", "a3"), ("bob", "b1")]:
        lane.add("clicks", lambda work=work: done.append(work), caller)
    while lane.run_one():
        pass
    assert done == ["a1", "b1", "a2", "a3"]


def test_what_comes_meanwhile_waits_for_the_next_slice() -> None:
    lane, done = Lane(16), list[int]()

    def click() -> None:
        done.append(len(done))
        lane.add("clicks", click)

    lane.add("clicks", click)
    lane.run_waiting()
    assert done == [0]
    assert len(lane) == 1


def test_who_hung_up_is_not_computed_for() -> None:
    lane, reports, done = Lane(16), list[JobReport](), list[str]()
    lane.observer = reports.append
    gone = lane.add("clicks", lambda: done.append("gone"))
    lane.add("clicks", lambda: done.append("there"))
    assert gone.cancel()
    assert len(lane) == 1
    while lane.run_one():
        pass
    assert done == ["there"]
    assert [report.outcome for report in reports] == ["cancelled", "done"]


def test_a_full_lane_says_when_to_come_back() -> None:
    lane, reports = Lane(2), list[JobReport]()
    lane.observer = reports.append
    for caller in ("ann", "bob"):
        lane.add("clicks", lambda: None, caller)
    with pytest.raises(UnavailableError, match="2 clicks wait") as refused:
        lane.add("clicks", lambda: None, "eve")
    assert refused.value.retry_after == 1
    assert [report.outcome for report in reports] == ["refused"]


def test_who_asks_for_everything_at_once_leaves_room_for_others() -> None:
    lane = Lane(4)
    for _ in range(2):
        lane.add("clicks", lambda: None, "ann")
    with pytest.raises(UnavailableError, match="2 of them from here"):
        lane.add("clicks", lambda: None, "ann")
    lane.add("clicks", lambda: None, "bob")
    assert len(lane) == 3


def test_closing_gives_up_what_waits_and_takes_nothing_new(queue: InferenceQueue, gate: threading.Event) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> str:
        held.set()
        let_go.wait(PATIENCE_S)
        return "done"

    running = queue.urgent("cpu", "clicks", hold)
    assert held.wait(PATIENCE_S)
    waiting = queue.urgent("cpu", "clicks", lambda: "never")
    closing = threading.Thread(target=queue.close)
    closing.start()
    until(waiting.done)
    with pytest.raises(UnavailableError, match="stopping"):
        waiting.result()
    with pytest.raises(UnavailableError, match="stopping"):
        queue.urgent("cpu", "clicks", lambda: None)
    let_go.set()
    assert running.result(PATIENCE_S) == "done"
    closing.join(PATIENCE_S)
    assert not closing.is_alive()


def test_a_stopping_server_first_answers_the_clicks_that_wait(queue: InferenceQueue) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        let_go.wait(PATIENCE_S)

    queue.urgent("cpu", "clicks", hold)
    assert held.wait(PATIENCE_S)
    waiting = queue.urgent("cpu", "clicks", lambda: "answered")
    closing = threading.Thread(target=queue.close, args=(PATIENCE_S,))
    closing.start()
    let_go.set()
    assert waiting.result(PATIENCE_S) == "answered"
    closing.join(PATIENCE_S)


def test_the_observer_hears_of_clicks(queue: InferenceQueue) -> None:
    reports: list[JobReport] = []
    queue.observer = reports.append
    queue.urgent("cpu", "clicks", lambda: 7).result(PATIENCE_S)
    assert [(report.model, report.outcome) for report in reports] == [("clicks", "done")]


def test_an_observer_that_fails_keeps_no_answer_back() -> None:
    def fail(report: JobReport) -> None:
        raise RuntimeError(f"a bug, told of {report.outcome}")

    lane = Lane(1)
    lane.observer = fail
    answer = lane.add("clicks", lambda: 7)
    with pytest.raises(UnavailableError):
        lane.add("clicks", lambda: 8)
    lane.run_one()
    assert answer.result(0) == 7

"""Never blocked: a bounded queue, one worker for each device, nothing computed twice, nothing computed for nobody."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from tests.adapters.inference.stand_in import PATIENCE_S, Probe, until
from tumorseg.adapters.inference import InferenceQueue, JobReport
from tumorseg.adapters.inference import queue as module
from tumorseg.adapters.inference.job import State
from tumorseg.errors import UnavailableError

Make = Callable[..., InferenceQueue]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[InferenceQueue] = []

    def build(max_waiting: int = 16, **kw: Any) -> InferenceQueue:
        made.append(InferenceQueue(max_waiting, **kw))
        return made[-1]

    yield build
    for queue in made:
        queue.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader: what is asked first is ready first."""
    monkeypatch.setattr(module, "READERS", 1)


def test_an_answer_comes_in_the_form_that_is_wanted(make: Make) -> None:
    queue = make()
    assert queue.submit(Probe("a"), "nrrd").result(PATIENCE_S) == ("a", "nrrd")
    stats = queue.stats()
    assert (stats.done, stats.waiting, stats.running, stats.capacity) == (1, 0, 0, 16)


def test_the_device_is_touched_by_one_thread_that_neither_reads_nor_writes(make: Make) -> None:
    queue, tasks = make(together=1), [Probe(str(n)) for n in range(12)]
    for ticket in [queue.submit(task, None) for task in tasks]:
        ticket.result(PATIENCE_S)
    assert {task.threads["run"] for task in tasks} == {"inference-cpu"}
    others = {task.threads[step] for task in tasks for step in ("prepare", "finish", "answer")}
    assert "inference-cpu" not in others


def test_two_devices_work_side_by_side(make: Make, gate: threading.Event) -> None:
    queue = make()
    held, free = Probe("held", gate=gate), Probe("free", device="cuda:1")
    waiting = queue.submit(held, None)
    assert held.started.wait(PATIENCE_S)
    assert queue.submit(free, None).result(PATIENCE_S)
    assert not waiting.done()


def test_a_full_queue_refuses_and_says_when_to_come_back(make: Make, gate: threading.Event) -> None:
    queue, first = make(max_waiting=2), Probe("first", gate=gate)
    running = queue.submit(first, None)
    assert first.started.wait(PATIENCE_S)
    waiting = [queue.submit(Probe(str(n)), None) for n in range(2)]
    with pytest.raises(UnavailableError, match="try again in") as refused:
        queue.submit(Probe("late"), None)
    assert 1 <= (refused.value.retry_after or 0) <= 60
    assert queue.stats().refused == 1
    gate.set()
    assert [ticket.result(PATIENCE_S)[0] for ticket in (running, *waiting)] == ["first", "0", "1"]
    assert queue.submit(Probe("again"), None).result(PATIENCE_S)


def test_with_no_room_to_wait_one_is_still_served(make: Make, gate: threading.Event) -> None:
    queue, only = make(max_waiting=0), Probe("only", gate=gate)
    ticket = queue.submit(only, None)
    with pytest.raises(UnavailableError):
        queue.submit(Probe("second"), None)
    gate.set()
    assert ticket.result(PATIENCE_S)


def test_the_time_to_come_back_follows_what_jobs_took(make: Make) -> None:
    queue = make(together=1)
    before = queue.retry_after()
    for n in range(40):
        queue.submit(Probe(str(n)), None).result(PATIENCE_S)
    assert queue.retry_after() == 1 < before


def test_a_waiting_job_whose_client_hangs_up_leaves_at_once(make: Make, gate: threading.Event) -> None:
    queue, first, second = make(), Probe("first", gate=gate), Probe("second")
    running = queue.submit(first, None)
    assert first.started.wait(PATIENCE_S)
    ticket = queue.submit(second, None)
    assert second.read.wait(PATIENCE_S)
    until(lambda: queue.stats().waiting == 1)
    assert ticket.cancel()
    assert queue.stats().waiting == 0
    gate.set()
    running.result(PATIENCE_S)
    assert second.runs == []
    assert queue.stats().cancelled == 1


def test_a_running_job_whose_client_hangs_up_stops_at_the_next_slice(make: Make, gate: threading.Event) -> None:
    queue, endless = make(), Probe("endless", gate=gate)
    ticket = queue.submit(endless, None)
    assert endless.started.wait(PATIENCE_S)
    assert ticket.cancel()
    until(lambda: queue.stats().cancelled == 1, "it did not stop")
    assert not gate.is_set()
    assert queue.submit(Probe("next"), None).result(PATIENCE_S)
    with pytest.raises(CancelledError):
        ticket.result(0)


def test_the_same_question_is_computed_once_and_answered_in_each_form(make: Make, gate: threading.Event) -> None:
    queue, first = make(max_waiting=1), Probe("first", key="k", gate=gate)
    tickets = [queue.submit(first, "nrrd")]
    assert first.started.wait(PATIENCE_S)
    others = [Probe(f"other {n}", key="k") for n in range(20)]
    tickets += [queue.submit(task, f"form {n}") for n, task in enumerate(others)]
    gate.set()
    answers = [ticket.result(PATIENCE_S) for ticket in tickets]
    assert answers == [("first", "nrrd"), *(("first", f"form {n}") for n in range(20))]
    assert all(task.runs == [] and not task.read.is_set() for task in others)
    stats = queue.stats()
    assert (stats.done, stats.coalesced, stats.refused) == (1, 20, 0)
    # What is over is not joined: the image may have changed since.
    again = Probe("again", key="k")
    assert queue.submit(again, "nrrd").result(PATIENCE_S) == ("again", "nrrd")


def test_shared_work_goes_on_until_the_last_one_hangs_up(make: Make, gate: threading.Event) -> None:
    queue, work = make(), Probe("work", key="k", gate=gate)
    one, two = queue.submit(work, 1), queue.submit(Probe("same", key="k"), 2)
    assert work.started.wait(PATIENCE_S)
    one.cancel()
    time.sleep(0.05)
    assert not work.stop
    two.cancel()
    assert work.stop
    until(lambda: queue.stats().cancelled == 1)
    # One that asks now does not join what is being given up.
    gate.set()
    assert queue.submit(Probe("new", key="k"), 3).result(PATIENCE_S) == ("new", 3)


def test_another_request_reads_its_own_copy_when_the_first_took_its_files_along(make: Make) -> None:
    queue, disk = make(), threading.Event()
    first, second = Probe("first", key="k", disk=disk, fails="prepare"), Probe("second", key="k")
    one = queue.submit(first, None)
    until(lambda: "prepare" in first.threads)
    two = queue.submit(second, None)
    one.cancel()
    disk.set()
    assert two.result(PATIENCE_S) == ("second", None)


def test_a_form_that_cannot_be_made_is_the_error_of_who_wants_it(make: Make, gate: threading.Event) -> None:
    queue, work = make(), Probe("work", key="k", gate=gate)
    good, bad = queue.submit(work, "nrrd"), queue.submit(Probe("same", key="k"), "impossible")
    gate.set()
    assert good.result(PATIENCE_S) == ("work", "nrrd")
    with pytest.raises(ValueError, match="no such form"):
        bad.result(PATIENCE_S)


@pytest.mark.parametrize("step", ["prepare", "run", "alone", "finish"])
def test_an_error_reaches_who_asked_and_the_queue_goes_on(make: Make, step: str) -> None:
    queue = make()
    with pytest.raises(ValueError, match=r"bad|cannot"):
        queue.submit(Probe("broken", fails=step), None).result(PATIENCE_S)
    assert queue.submit(Probe("next"), None).result(PATIENCE_S)
    assert (queue.stats().failed, queue.stats().done) == (1, 1)


def _behind(queue: InferenceQueue, gate: threading.Event, tasks: list[Probe]) -> list[Any]:
    """Ask for tasks while the device is busy, and open the gate when all of them are ready."""
    first = Probe("first", gate=gate)
    running = queue.submit(first, None)
    assert first.started.wait(PATIENCE_S)
    tickets = [queue.submit(task, None, caller=task.name[0]) for task in tasks]
    for task in tasks:
        assert task.read.wait(PATIENCE_S)
    until(lambda: all(ticket.job is None or ticket.job.state is State.READY for ticket in tickets))
    gate.set()
    running.result(PATIENCE_S)
    return tickets


@pytest.mark.usefixtures("in_order")
def test_ready_jobs_of_one_model_share_a_run(make: Make, gate: threading.Event) -> None:
    tasks = [Probe(f"m{n}", group="m") for n in range(4)] + [Probe("other", group="o"), Probe("single")]
    queue = make()
    for ticket in _behind(queue, gate, tasks):
        ticket.result(PATIENCE_S)
    assert all(task.runs == [["m0", "m1", "m2", "m3"]] for task in tasks[:4])
    assert tasks[4].runs == [["other"]]
    assert tasks[5].runs == [["single"]]
    assert queue.stats().batched == 4


@pytest.mark.usefixtures("in_order")
def test_a_shared_run_is_bounded_in_slices(make: Make, gate: threading.Event) -> None:
    sizes = (10, 10, 100, 10, 10)
    tasks = [Probe(f"m{n}", group="m", size=size) for n, size in enumerate(sizes)]
    for ticket in _behind(make(together=32), gate, tasks):
        ticket.result(PATIENCE_S)
    assert [task.runs for task in tasks] == [
        [["m0", "m1", "m3"]],
        [["m0", "m1", "m3"]],
        [["m2"]],
        [["m0", "m1", "m3"]],
        [["m4"]],
    ]


@pytest.mark.usefixtures("in_order")
def test_one_bad_job_does_not_hurt_those_it_shared_a_run_with(make: Make, gate: threading.Event) -> None:
    tasks = [Probe("m0", group="m"), Probe("m1", group="m", fails="run"), Probe("m2", group="m")]
    good, bad, fine = _behind(make(), gate, tasks)
    assert good.result(PATIENCE_S) == ("m0", None)
    assert fine.result(PATIENCE_S) == ("m2", None)
    with pytest.raises(ValueError, match="bad"):
        bad.result(PATIENCE_S)
    assert tasks[0].runs == [["m0", "m1", "m2"], ["m0"]]


@pytest.mark.usefixtures("in_order")
def test_one_that_fails_alone_within_a_shared_run_is_not_run_again(make: Make, gate: threading.Event) -> None:
    tasks = [Probe("m0", group="m"), Probe("m1", group="m", fails="alone")]
    good, bad = _behind(make(), gate, tasks)
    assert good.result(PATIENCE_S)
    with pytest.raises(ValueError, match="bad m1"):
        bad.result(PATIENCE_S)
    assert tasks[0].runs == [["m0", "m1"]]


def test_a_client_with_many_requests_does_not_keep_another_waiting(make: Make, gate: threading.Event) -> None:
    tasks = [Probe(f"a{n}") for n in range(6)] + [Probe("b0")]
    for ticket in _behind(make(together=1), gate, tasks):
        ticket.result(PATIENCE_S)
    order = [task.name for task in sorted(tasks, key=lambda task: task.began)]
    assert order.index("b0") <= 2


def test_a_slow_disk_keeps_nobody_waiting_but_who_reads_from_it(make: Make) -> None:
    queue, disk = make(), threading.Event()
    stuck = queue.submit(Probe("stuck", disk=disk), None)
    assert queue.submit(Probe("quick"), None).result(PATIENCE_S)
    assert not stuck.done()
    disk.set()
    assert stuck.result(PATIENCE_S)


def test_no_more_is_read_ahead_than_memory_allows(
    make: Make, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 250)
    queue, first = make(together=1), Probe("first", gate=gate, nbytes=100)
    tasks = [Probe(str(n), nbytes=100) for n in range(8)]
    running = queue.submit(first, None)
    assert first.started.wait(PATIENCE_S)
    tickets = [queue.submit(task, None) for task in tasks]
    time.sleep(0.2)
    assert sum(task.read.is_set() for task in tasks) <= 250 // 100 + module.READERS
    gate.set()
    assert len([ticket.result(PATIENCE_S) for ticket in (running, *tickets)]) == 9


def test_stopping_finishes_what_waits_and_takes_nothing_new(make: Make, gate: threading.Event) -> None:
    queue, first = make(), Probe("first", gate=gate)
    tickets = [queue.submit(first, None), queue.submit(Probe("second"), None)]
    assert first.started.wait(PATIENCE_S)
    closing = threading.Thread(target=queue.close, args=(PATIENCE_S,))
    closing.start()
    until(lambda: queue.closing)
    with pytest.raises(UnavailableError, match="stopping"):
        queue.submit(Probe("late"), None)
    gate.set()
    closing.join(PATIENCE_S)
    assert [ticket.result(0)[0] for ticket in tickets] == ["first", "second"]


def test_stopping_gives_up_what_takes_too_long(make: Make, gate: threading.Event) -> None:
    queue, first = make(), Probe("first", gate=gate)
    tickets = [queue.submit(first, None)]
    assert first.started.wait(PATIENCE_S)
    tickets.append(queue.submit(Probe("second"), None))
    queue.close(0.1)
    for ticket in tickets:
        with pytest.raises(UnavailableError, match="stopping"):
            ticket.result(0)
    assert first.stop


def test_every_end_is_reported(make: Make, gate: threading.Event) -> None:
    reports: list[JobReport] = []
    queue = make(max_waiting=1)
    queue.observer = reports.append
    first = Probe("first", gate=gate)
    running = queue.submit(first, None)
    assert first.started.wait(PATIENCE_S)
    waiting = queue.submit(Probe("second"), None)
    with pytest.raises(UnavailableError):
        queue.submit(Probe("third"), None)
    waiting.cancel()
    gate.set()
    running.result(PATIENCE_S)
    with pytest.raises(ValueError, match="bad"):
        queue.submit(Probe("fourth", fails="run"), None).result(PATIENCE_S)
    queue.submit(Probe("fifth"), None, counted=False).result(PATIENCE_S)
    assert [(report.model[6:], report.outcome) for report in reports] == [
        ("third", "refused"),
        ("second", "cancelled"),
        ("first", "done"),
        ("fourth", "failed"),
    ]
    done = reports[2]
    assert (done.batch, done.rung) == (1, "full")
    assert done.ran_s > 0
    assert done.waited_s >= 0


def test_an_observer_that_fails_costs_nobody_an_answer(make: Make) -> None:
    queue = make()
    queue.observer = lambda report: {}["not there"]
    assert queue.submit(Probe(), None).result(PATIENCE_S)


def test_nothing_of_a_job_is_kept_when_it_is_over(make: Make) -> None:
    import weakref

    queue = make()
    kept = []
    for n in range(50):
        task = Probe(str(n), key=n, group="m")
        kept.append(weakref.ref(task))
        ticket = queue.submit(task, None, caller=str(n))
        if n % 3:
            ticket.result(PATIENCE_S)
        else:
            ticket.cancel()
        del task, ticket
    assert queue.drain(PATIENCE_S)
    until(lambda: gc.collect() >= 0 and sum(ref() is not None for ref in kept) == 0, "tasks stay in memory")

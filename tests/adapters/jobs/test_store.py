from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tumorseg.adapters.jobs import records
from tumorseg.adapters.jobs.store import KEPT, MAX_DEATHS, JobStore
from tumorseg.adapters.jobs.types import JobState, Kind
from tumorseg.errors import InputError, NotFoundError

SUBMIT = """
import sys
from pathlib import Path
from tumorseg.adapters.jobs.store import JobStore
for number in range(20):
    sys.stdout.write(JobStore(Path(sys.argv[1])).submit("score", "m", {}, sys.argv[2]).id + "\\n")
"""


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs")


def submit(store: JobStore) -> str:
    return store.submit("train", "tiny", {"epochs": 3}, "anna").id


def end(store: JobStore, status: str = "DONE", kind: Kind = "train") -> str:
    id = store.submit(kind, "tiny", {}, "anna").id
    records.write_state(store.path(id), JobState(status))  # type: ignore[arg-type]
    return id


def test_what_was_submitted_is_there(store: JobStore) -> None:
    before = datetime.now(UTC).timestamp()
    job = store.submit("train", "tiny", {"epochs": 3}, "anna")
    assert store.list() == [(job, JobState())]
    assert store.job(job.id) == job
    assert (job.kind, job.model, job.request, job.who) == ("train", "tiny", {"epochs": 3}, "anna")
    assert job.created >= before
    assert store.path(job.id).stat().st_mode & 0o077 == 0


def test_ids_are_unique_and_in_order_also_among_processes(store: JobStore) -> None:
    command = [sys.executable, "-c", SUBMIT, str(store.folder)]
    processes = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, text=True) for who in ("a", "b")]
    said = [process.communicate()[0].split() for process in processes]
    assert [len(ids) for ids in said] == [20, 20]
    assert store.ids() == sorted({*said[0], *said[1]})
    assert len(store.ids()) == 40
    assert said[0] == sorted(said[0])
    assert [store.job(id).created for id in store.ids()] == sorted(store.job(id).created for id in store.ids())


def test_a_clock_that_is_put_back_keeps_the_order(store: JobStore) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=400)).strftime("%Y%m%d-%H%M%S-%f")
    (store.folder / ahead).mkdir(parents=True)
    assert [submit(store), submit(store)] == store.ids()[1:]


def test_an_unusable_request_leaves_nothing_behind(store: JobStore) -> None:
    for request in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(InputError, match="JSON"):
            store.submit("train", "tiny", request, "anna")
    assert store.ids() == []


def test_a_request_is_told_as_it_is_read_again(store: JobStore) -> None:
    job = store.submit("train", "tiny", {"sides": (64, 32), "by": {1: 2}}, "anna")
    assert job.request == store.job(job.id).request == {"sides": [64, 32], "by": {"1": 2}}


@pytest.mark.parametrize(
    "id", ["", ".", "..", "../x", "20261121-120000-000000", "20261121-120000-000000/..", "x" * 300]
)
def test_an_unknown_id_is_not_found_and_joined_to_no_path(store: JobStore, id: str) -> None:
    submit(store)
    for ask in (store.state, store.job, store.log, store.cancel):
        with pytest.raises(NotFoundError):
            ask(id)  # type: ignore[operator]


def test_a_damaged_job_hides_no_other(store: JobStore) -> None:
    damaged, lost, sound = submit(store), submit(store), submit(store)
    (store.path(damaged) / records.STATE).write_text("{")
    (store.path(lost) / records.JOB).write_text("{")
    assert [(job.id, state.status) for job, state in store.list()] == [(sound, "SUBMITTED"), (damaged, "ERROR")]
    told: list[str] = []
    assert store.tell(lambda job, state: told.append(job.id)) == 1
    assert told == [damaged]
    assert store.cancel(damaged).status == "ERROR"


def test_one_of_many_takes_a_job(store: JobStore) -> None:
    id = submit(store)
    begun: list[JobState | None] = []
    threads = [threading.Thread(target=lambda: begun.append(store.begin(id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [state for state in begun if state]
    assert len(taken) == 1
    assert (taken[0].status, taken[0].attempts) == ("RUNNING", 1)
    assert taken[0].started is not None


def test_what_was_cancelled_does_not_begin(store: JobStore) -> None:
    id = submit(store)
    (store.path(id) / records.CANCEL).touch()  # while it left its process, say
    assert store.begin(id) is None
    assert store.state(id).status == "STOPPED"


def test_cancelling_what_runs_marks_it(store: JobStore) -> None:
    id = submit(store)
    store.begin(id)
    assert not store.cancelled(id)
    assert store.cancel(id).status == "RUNNING"
    assert store.cancelled(id)
    assert store.settle(id, "", died=False).status == "STOPPED"
    assert store.state(id).ended is not None


def test_deaths_without_progress_are_counted_and_end_the_job(store: JobStore) -> None:
    id = submit(store)
    for death in range(1, MAX_DEATHS):
        store.begin(id)
        assert store.settle(id, "killed", died=True) == replace(
            JobState(), attempts=death, deaths=death, started=store.state(id).started
        )
    store.begin(id)
    state = store.settle(id, "killed by a test", died=True)
    assert (state.status, state.attempts) == ("ERROR", MAX_DEATHS)
    assert "killed by a test" in state.error


def test_leaving_on_request_is_no_death(store: JobStore) -> None:
    id = submit(store)
    for _ in range(2 * MAX_DEATHS):
        store.begin(id)
        state = store.settle(id, "", died=False)
    assert (state.status, state.deaths, state.attempts) == ("SUBMITTED", 0, 2 * MAX_DEATHS)


def test_what_ended_is_not_settled_again(store: JobStore) -> None:
    id = end(store)
    assert store.settle(id, "killed", died=True).status == "DONE"


def test_ends_are_told_once_also_by_another_server(store: JobStore) -> None:
    first, waits = end(store), submit(store)
    told: list[str] = []
    assert store.untold() == [first, waits]
    assert store.tell(lambda job, state: told.append(job.id)) == 1
    assert JobStore(store.folder).tell(lambda job, state: told.append(job.id)) == 0
    assert told == [first]
    assert store.untold() == [waits]


def test_a_server_killed_while_it_is_told_is_told_again(store: JobStore) -> None:
    id = end(store)

    def killed(job: object, state: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.tell(killed)
    assert JobStore(store.folder).untold() == [id]


def test_old_jobs_make_way_and_large_files_go_at_once(store: JobStore) -> None:
    ids = [end(store, "DONE" if number % 2 else "STOPPED") for number in range(KEPT + 3)]
    waits = submit(store)
    for id in (ids[-1], waits):
        (store.path(id) / "out").mkdir()
        for name in ("state.pt", "out/candidate.safetensors", "snapshot.json"):
            (store.path(id) / name).write_text("x")
    store.thin()
    assert store.ids() == [*ids[3:], waits]
    assert {path.name for path in store.path(ids[-1]).iterdir()} == {"job.json", "state.json", "snapshot.json", "out"}
    assert not list((store.path(ids[-1]) / "out").iterdir())
    assert (store.path(waits) / "state.pt").exists()
    assert (store.path(waits) / "out" / "candidate.safetensors").exists()


def test_many_scorings_push_out_no_training(store: JobStore) -> None:
    """The training that failed was forgotten within a day, with its log, and the alert about it went out by itself."""
    failed, damaged = end(store, "ERROR"), end(store)
    (store.path(damaged) / records.JOB).write_text("{")
    store.say(failed, "the disk is full")
    scorings = [end(store, kind="score") for _ in range(KEPT + 2)]
    store.thin()
    assert store.ids() == [failed, damaged, *scorings[2:]]
    assert "the disk is full" in store.log(failed)[-1]


def test_nothing_is_made_before_the_first_job(store: JobStore) -> None:
    assert store.list() == []
    assert store.untold() == []
    store.thin()
    assert not store.folder.exists()

"""Real processes: what a job may take, how it ends, and what is left when something is killed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.adapters.jobs.bench import Bench, is_alive, running, server, settings, wait_for
from tumorseg.adapters.jobs.types import Job, JobState


def test_jobs_are_done_in_order_and_told_once(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as bench:
        first, second = bench.do("nothing"), bench.do("fail")
        done, failed = bench.after(first, "DONE"), bench.after(second, "ERROR")
        wait_for(lambda: len(bench.told) == 2)
    assert bench.told == [(first, "DONE"), (second, "ERROR")]
    assert done.result == {"version": "0001-abcd", "nan": None}
    assert (done.fraction, done.epoch, done.epochs, done.metric, done.attempts) == (1.0, 3, 3, 0.5, 1)
    assert done.started is not None
    assert failed.started is not None
    assert done.ended is not None
    assert done.started <= done.ended <= failed.started
    assert [job.id for job, _ in bench.list()] == [second, first]
    with running(settings(tmp_path)) as later:  # the next server is not told again
        third = later.do("nothing")
        later.after(third, "DONE")
        wait_for(lambda: later.told)
    assert later.told == [(third, "DONE")]


def test_the_traceback_of_a_failed_job_is_kept(tmp_path: Path) -> None:
    """MONAI Label loses the last lines of a training that fails."""
    with running(settings(tmp_path)) as bench:
        wrong, refused, left = bench.do("fail"), bench.do("refuse"), bench.do("exit")
        assert bench.after(wrong, "ERROR").error == "KeyError: 'the wrong key'"
        log = "\n".join(bench.log(wrong))
        assert "Traceback (most recent call last)" in log
        assert "in deep_inside" in log
        assert "KeyError: 'the wrong key'" in log
        # What the user can mend is said without the code that noticed it.
        assert bench.after(refused, "ERROR").error == "expected at least 2 labelled patients, got 0: label some first"
        assert "Traceback" not in "\n".join(bench.log(refused))
        assert "good bye" in bench.after(left, "ERROR").error


def test_a_job_runs_last_and_gets_no_secret_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = "http://reader:hunter2@archive.example/dicom-web"
    monkeypatch.setenv("EXPECTED_STUDIES", studies)
    with running(settings(tmp_path, studies, train_threads=3)) as bench:
        job = bench.do("tell")
        result = bench.after(job, "DONE").result
        log = "\n".join(bench.log(job))
    assert result["knows_address"]
    written = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert written
    assert not any(b"hunter2" in content for content in written)
    assert "hunter2" not in " ".join(result["arguments"])
    assert "http://***@archive.example/dicom-web" in log
    for said in ("printed", "INFO tumorseg.work: logged", "said by C code"):
        assert said in log
    assert result["nice"] == 19
    assert set(result["environment"].values()) == {"3"}
    assert result["oom"] in ("1000", "")
    assert not result["torch"], "the worker loads torch though neither the work nor the limits need it"
    # In another session it would have an autogroup of its own, and being nice would mean nothing to the server.
    assert result["session"] == os.getsid(0)
    assert result["group_is_own"]
    own = Path("/proc/self/autogroup")
    assert result["autogroup"] == (own.read_text().partition(" ")[0] if own.exists() else "")


def test_memory_is_limited_and_the_error_says_by_what(tmp_path: Path) -> None:
    with running(settings(tmp_path, train_memory_mb=512)) as bench:
        state = bench.after(bench.do("eat"), "ERROR")
    assert "out of memory: this job may take 512 MB (train_memory_mb)" in state.error
    assert state.attempts == 1


def test_what_crashes_is_given_up_and_its_last_words_are_kept(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as bench:
        job = bench.do("crash")
        state = bench.after(job, "ERROR")
        wait_for(lambda: bench.told)
        log = "\n".join(bench.log(job))
    assert (state.attempts, state.deaths) == (3, 3)
    assert "3 attempts" in state.error
    assert "SIGABRT" in state.error
    assert log.count("assertion failed in C code") == 3
    assert "do_crash" in log  # Python's stack at that moment
    assert state.error in log


def test_a_job_that_hangs_is_ended_and_tried_again_and_does_not_block_the_others(tmp_path: Path) -> None:
    with running(settings(tmp_path), silence_s=6.0) as bench:
        hanging, other = bench.do("hang"), bench.do("nothing")
        process = bench.process(hanging)
        state = bench.after(hanging, "DONE")
        bench.after(other, "DONE")
        log = "\n".join(bench.log(hanging))
    assert state.attempts == 2
    assert "the attempt ended: it said nothing for 6 s, hung, and was ended" in log
    assert not is_alive(process)


def test_a_job_that_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    """MONAI Label cannot cancel what is queued."""
    bench = Bench(settings(tmp_path))
    job = bench.do("nothing")
    assert bench.cancel(job).status == "STOPPED"
    bench.start()
    try:
        wait_for(lambda: bench.told)
    finally:
        bench.close()
    assert bench.told == [(job, "STOPPED")]
    assert bench.state(job).attempts == 0
    assert bench.cancel(job) == bench.state(job)


def test_a_job_that_runs_is_cancelled_and_the_next_one_begins(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as bench:
        job, after = bench.do("wait"), bench.do("nothing")
        bench.said(job, "waiting")
        found = bench.running()
        assert found is not None
        assert found[0].id == job
        assert bench.cancel(job).status == "RUNNING"
        assert bench.after(job, "STOPPED").error == ""
        bench.after(after, "DONE")
        assert bench.running() is None


def test_a_job_that_does_not_listen_is_ended_with_its_children(tmp_path: Path) -> None:
    with running(settings(tmp_path), grace_s=0.5) as bench:
        job = bench.do("not_listen")
        bench.said(job, "child ")
        child = int(bench.log(job, 1)[0].split()[-1])
        bench.cancel(job)
        bench.after(job, "STOPPED")
        wait_for(lambda: not is_alive(child))


def test_a_killed_job_goes_on_where_it_was(tmp_path: Path) -> None:
    with running(settings(tmp_path)) as bench:
        job = bench.do("count", to=4)
        allow(bench, job, 2)
        wait_for(lambda: bench.state(job).fraction == 0.5)
        os.kill(bench.process(job), signal.SIGKILL)
        bench.said(job, "begins at 2")
        allow(bench, job, 4)
        state = bench.after(job, "DONE")
        log = "\n".join(bench.log(job))
        assert (state.result, state.attempts) == ({"count": 4}, 2)
        assert "out of memory" in log  # what a SIGKILL from nowhere means most of the time
        wait_for(lambda: bench.told)
        wait_for(lambda: not (bench.store.path(job) / "count.pt").exists())


def test_closing_leaves_no_process_and_the_next_start_goes_on(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with running(settings(tmp_path)) as bench:
        job = bench.do("count", to=2)
        allow(bench, job, 1)
        wait_for(lambda: bench.state(job).fraction == 0.5)
        process = bench.process(job)
    assert not is_alive(process)
    assert not {thread for thread in set(threading.enumerate()) - before if thread.name == "jobs"}
    left = bench.state(job)
    assert (left.status, left.deaths, bench.told) == ("SUBMITTED", 0, [])
    with running(settings(tmp_path)) as later:
        later.said(job, "begins at 1")
        allow(later, job, 2)
        assert later.after(job, "DONE").attempts == 2


def test_of_two_servers_one_runs_jobs_and_the_other_can_cancel_them(tmp_path: Path) -> None:
    config = settings(tmp_path)
    bench = Bench(config)
    with server(config):
        first = bench.do("wait")
        bench.said(first, "waiting")
        bench.start()  # the lock is taken by now
        try:
            waits = bench.do("nothing")
            jobs = [bench.do("alone") for _ in range(3)]
            assert bench.cancel(waits).status == "STOPPED"
            bench.cancel(first)
            bench.after(first, "STOPPED")
            assert [bench.after(job, "DONE", "ERROR").status for job in jobs] == ["DONE"] * 3
        finally:
            bench.close()
    assert bench.told == []  # the one that runs them is told


def test_a_killed_server_takes_its_job_along_and_another_one_goes_on(tmp_path: Path) -> None:
    config = settings(tmp_path)
    bench = Bench(config)
    with server(config) as process:
        job = bench.do("count", to=2)
        allow(bench, job, 1)
        wait_for(lambda: bench.state(job).fraction == 0.5)
        worker = bench.process(job)
        bench.start()
        process.kill()
        process.wait()
        wait_for(lambda: not is_alive(worker))
        try:
            bench.said(job, "begins at 1")
            allow(bench, job, 2)
            assert bench.after(job, "DONE").attempts == 2
            wait_for(lambda: bench.told)
        finally:
            bench.close()
    assert bench.told == [(job, "DONE")]


def test_no_second_process_while_one_outlives_its_server(tmp_path: Path) -> None:
    """One that is busy and does not notice is ended after a while; until then nobody else works in its folder."""
    config = settings(tmp_path)
    bench = Bench(config, grace_s=0.5)
    with server(config) as process:
        job = bench.do("not_listen")
        bench.said(job, "child ")
        child, worker = int(bench.log(job, 1)[0].split()[-1]), bench.process(job)
        bench.start()
        process.kill()
        process.wait()
        try:
            wait_for(lambda: bench.state(job).attempts == 2)
            assert not is_alive(worker)
            wait_for(lambda: not is_alive(child))
            assert bench.state(job).deaths == 0  # the server was killed, not the job
            bench.cancel(job)
            bench.after(job, "STOPPED")
        finally:
            bench.close()


def test_what_fails_at_the_end_of_a_job_does_not_end_the_runner(tmp_path: Path) -> None:
    seen: list[str] = []

    def ended(job: Job, state: JobState) -> None:
        seen.append(job.id)
        raise RuntimeError("the server's own fault")

    bench = Bench(settings(tmp_path))
    bench._ended = ended
    bench.start()
    try:
        first, second = bench.do("nothing"), bench.do("nothing")
        wait_for(lambda: len(seen) == 2)
    finally:
        bench.close()
    assert seen == [first, second]


def allow(bench: Bench, job: str, steps: int) -> None:
    """Let the counting job come this far."""
    fresh = bench.store.path(job) / "go.new"
    fresh.write_text(str(steps))
    fresh.rename(fresh.with_name("go"))

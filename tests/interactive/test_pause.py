"""Long work lets short work go before, and never itself."""

from __future__ import annotations

import threading

from tumorseg.interactive.pause import pause, pausing_for


def test_nobody_waits_where_nobody_said_so() -> None:
    pause()


def test_what_waits_is_done_in_every_pause_and_in_no_other_thread() -> None:
    done: list[str] = []
    with pausing_for(lambda: done.append(threading.current_thread().name)):
        pause()
        other = threading.Thread(target=pause)
        other.start()
        other.join()
        pause()
    pause()
    assert done == [threading.current_thread().name] * 2


def test_a_pause_within_a_pause_is_none() -> None:
    done: list[int] = []

    def click() -> None:
        done.append(len(done))
        pause()

    with pausing_for(click):
        pause()
    assert done == [0]


def test_an_error_of_the_short_work_leaves_the_next_pause_as_it_was() -> None:
    done: list[int] = []

    def fail() -> None:
        done.append(1)
        raise ValueError

    with pausing_for(fail):
        for _ in range(2):
            try:
                pause()
            except ValueError:
                continue
    assert done == [1, 1]

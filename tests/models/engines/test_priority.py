"""Computing threads step back; threads that hold Python's lock do not."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from tumorseg.models.engines.priority import NICER, step_back, with_nice_threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a nice value belongs to the process elsewhere")


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def inherited() -> int:
    """The nice value of a thread that the calling one starts."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(nice()))
    thread.start()
    thread.join()
    return seen[0]


def test_only_what_a_server_loads_computes_behind_everything_else() -> None:
    seen: dict[str, int] = {}

    def server() -> None:
        step_back()
        seen["started"] = with_nice_threads(inherited)
        seen["own"] = nice()
        seen["later"] = inherited()

    thread = threading.Thread(target=server)
    thread.start()
    thread.join()
    own = nice()
    assert seen == {"started": min(19, own + NICER), "own": own, "later": own}
    assert with_nice_threads(inherited) == own, "on the command line nobody waits for anything else"


def test_an_error_comes_through() -> None:
    def server() -> None:
        step_back()
        with pytest.raises(KeyError, match="missing"):
            with_nice_threads(lambda: {}["missing"])
        done.set()

    done = threading.Event()
    thread = threading.Thread(target=server)
    thread.start()
    thread.join()
    assert done.is_set()

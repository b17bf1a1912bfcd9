"""A job's process as the server sees it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.adapters.jobs import limits, orders, records

if TYPE_CHECKING:
    from tumorseg.config import AppConfig


class JobProcess:
    """A process with its children, in a process group of their own but in the server's session (see limits.py).

    Args:
        command: what runs the worker; the job's folder is appended.
        folder: the job's.
        config: handed on.
        lock: descriptor of the lock on the state folder. The process inherits it, so that the lock is held until the
            process is gone, also where the server was killed: no other server starts a second one beside it.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, command: Sequence[str], folder: Path, config: AppConfig, lock: int) -> None:
        environment = {**os.environ, **limits.environment(config), "PYTHONPATH": orders.import_paths()}
        with (folder / records.LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [*command, str(folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(lock,),
                process_group=0,
            )
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone already; its exit status will say so
            self._process.stdin.write(orders.encode(config))
            self._process.stdin.flush()
        with suppress(OSError):
            self._process.stdin.close()

    @property
    def pid(self) -> int:
        """Process id, and that of the group."""
        return self._process.pid

    def ended(self) -> bool:
        """Return whether it has ended; its id stays taken until :meth:`collect`, so no signal hits another process."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # something else in this server collects every child
            return True

    def ask(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it and its children."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def collect(self) -> int:
        """End what children it left, and return its exit status, negative where a signal ended it."""
        self.kill()
        return self._process.wait()

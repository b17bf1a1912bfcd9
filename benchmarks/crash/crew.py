"""Part one: processes that save through the history itself, each killed again and again while it does."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from benchmarks.crash.tally import Tally
from benchmarks.crash.writer import BROKEN
from benchmarks.servers import ROOT
from tumorseg.errors import UnavailableError

if TYPE_CHECKING:
    from typing import IO

# Of so many saves one is killed, this many seconds after its begin at most: about what a save takes.
KILLED = 0.4
LONGEST_DELAY_S = 0.05
_PATIENCE_S = 120.0


@dataclass
class Crew(Tally):
    """Writers with one folder of labels.

    Attributes:
        root: folder of the labels.
        images: how many images the jobs are about.
        broken: whether the writers acknowledge before they save.
    """

    root: Path
    images: int
    broken: bool = False

    def save_all(self, jobs: range, processes: int, seed: int, step: Callable[[], None]) -> None:
        """Have every job acknowledged once; one whose writer was killed before is given out again."""
        self.give_out(jobs)
        with ThreadPoolExecutor(processes) as pool:
            slots = [pool.submit(self._slot, Random(f"{seed} {slot}"), step) for slot in range(processes)]
        for slot in slots:
            slot.result()

    def _slot(self, rng: Random, step: Callable[[], None]) -> None:
        """Keep one writer running until no job is left."""
        writer: _Writer | None = None
        try:
            while (number := self.next()) is not None:
                writer = writer or _Writer(self._command())
                self.count(number, writer.save(number, rng), step)
                if writer.killed:
                    writer.end()
                    writer = None
                    self.killed()
        finally:
            if writer is not None:
                writer.end()

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "benchmarks.crash.writer", str(self.root), str(self.images)]
        return [*command, BROKEN] if self.broken else command


class _Writer:
    """One writer's process, from outside."""

    def __init__(self, command: list[str]) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "lib")])
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.killed = False
        self._text = b""

    def save(self, number: int, rng: Random) -> bool:
        """Have one label saved, perhaps killing the writer meanwhile; tell whether it was acknowledged."""
        _pipe(self.process.stdin).write(f"{number}\n".encode())
        self._until("begin", number, _PATIENCE_S)
        if rng.random() < KILLED:
            self._until("done", number, rng.uniform(0, LONGEST_DELAY_S))
            self.process.kill()
            self.killed = True
        # After a kill too: what the writer said before it died is in the pipe, and counts.
        return self._until("done", number, _PATIENCE_S)

    def end(self) -> None:
        """Let the process go."""
        _pipe(self.process.stdin).close()
        self.process.kill() if self.killed else None
        self.process.wait(_PATIENCE_S)
        _pipe(self.process.stdout).close()
        _pipe(self.process.stderr).close()

    def _until(self, word: str, number: int, seconds: float) -> bool:
        """Read until the writer said a word of a job, ended, or the time is over; tell whether it was said."""
        wanted = f"{word} {number}".encode()
        out = _pipe(self.process.stdout)
        while not any(line.startswith(wanted + b" ") or line == wanted for line in self._text.split(b"\n")[:-1]):
            if not select.select([out], [], [], seconds)[0]:
                if seconds >= _PATIENCE_S:
                    raise UnavailableError(f"a writer said nothing for {seconds:g} s")
                return False
            piece = out.read(65536)
            if not piece:
                if not self.killed:
                    said = _pipe(self.process.stderr).read() or b""
                    raise UnavailableError(f"a writer ended by itself:\n{said.decode(errors='replace')[-2000:]}")
                return False
            self._text += piece
        return True


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream

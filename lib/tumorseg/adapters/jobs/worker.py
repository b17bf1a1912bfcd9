"""The process that does one job: ``python -m tumorseg.adapters.jobs.worker FOLDER``, started by the runner.

Little is imported before the limits hold; what a kind of job needs is loaded when its turn comes.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.adapters.jobs import failures, limits, orders, records
from tumorseg.adapters.jobs.log import LineWriter, Log
from tumorseg.adapters.jobs.reporter import Reporter
from tumorseg.adapters.jobs.watch import Watch
from tumorseg.errors import TumorSegError
from tumorseg.registry import resolve

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Run
    from tumorseg.config import AppConfig

#: Kind of job -> the work.
KINDS = {"train": "tumorseg.adapters.learning.train:run", "score": "tumorseg.adapters.learning.score:run"}

#: Libraries whose messages quote what stands in files, as in the server's log.
HUSHED = ("pydicom", "highdicom", "py.warnings", "dicomweb_client", "nibabel", "PIL", "urllib3")


def main(arguments: Sequence[str], kinds: Mapping[str, str] = KINDS) -> int:
    """Do the job of a folder, with the orders that come through standard input.

    Args:
        arguments: the job's folder.
        kinds: kind of job -> ``module:function``, a :class:`tumorseg.adapters.jobs.types.Run`.

    Returns:
        the exit status: 0 where the job's folder says how it ended.
    """
    folder = Path(arguments[0])
    log = Log(folder / records.LOG, also=(1, 2))
    reporter = Reporter(folder, log)
    signal.signal(signal.SIGTERM, lambda *_: reporter.stop())
    config, server = orders.read(sys.stdin.buffer)
    out, err = _listen(reporter, config)
    with Watch(reporter, log, server):
        error, refused = _work(folder, config, reporter, kinds)
        out.end()
        err.end()
        reporter.finish(error, refused=refused)
    return 0


def _work(folder: Path, config: AppConfig, reporter: Reporter, kinds: Mapping[str, str]) -> tuple[str, bool]:
    """Do it; return what went wrong in one line, empty where nothing did, and whether it would again."""
    try:
        reporter.line(f"attempt {records.read_state(folder).attempts}: {limits.apply(config)}")
        job = records.read_job(folder)
        if job is None:
            return f"{records.JOB} of this job is damaged: ask for the work again", True
        work: Run = resolve(kinds, "kind of job", job.kind)
        if said := limits.limit_gpu(config):
            reporter.line(said)
        work(job, config, reporter)
    except BaseException as error:  # SystemExit too: the work may not end without a word
        limits.lift_memory()
        said = failures.summary(error, config)
        if not isinstance(error, TumorSegError):
            reporter.line("".join(traceback.format_exception(error)))
        reporter.line(f"error: {said}")
        return said, failures.is_final(error)
    return "", False


def _listen(reporter: Reporter, config: AppConfig) -> tuple[LineWriter, LineWriter]:
    """Send what is printed and logged to the job's log; what C code prints goes there by the descriptors alone."""
    out, err = LineWriter(reporter.line, 1), LineWriter(reporter.line, 2)
    sys.stdout, sys.stderr = out, err
    faulthandler.enable(2)
    handler = logging.StreamHandler(err)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("tumorseg").setLevel(config.log_level.upper())
    for name in HUSHED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
    return out, err


if __name__ == "__main__":
    # Without waiting for threads that the work may have left behind: the folder says how it ended.
    os._exit(main(sys.argv[1:]))

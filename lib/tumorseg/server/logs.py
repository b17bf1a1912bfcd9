"""The server's log: one line an event, for people or for programs, on standard error.

What never stands in it, at no level: names and ids of patients, tokens, passwords. Therefore

- a request is named by its route's template and its id, an image as the audit log names it, and :class:`HideNames`
  takes names of images and of files of the studies out of whatever else is said;
- the libraries below speak only from warnings on, at no level of ours: at DEBUG they print addresses with queries, and
  pydicom's complaints quote the values of elements, so it is heard only when it fails;
- of an error that nobody foresaw the type and the lines of code are kept, and its message only where it is one of the
  technical kinds that quote no data.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tumorseg.server import request_id

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.server.observe import Exchange

logger = logging.getLogger("tumorseg.request")

_OURS = ("tumorseg", "uvicorn")
#: Their messages quote what stands in files.
_HUSHED = ("pydicom", "highdicom", "py.warnings", "dicomweb_client", "nibabel", "PIL", "urllib3")
#: Errors whose messages speak of the machine and the code, not of the data.
_TECHNICAL = (MemoryError, ImportError, AttributeError, TypeError, NameError, sqlite3.Error)
#: Probes ask every few seconds; their answers are of interest when they are bad.
_QUIET_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})
_FIELDS = ("method", "route", "status", "ms", "bytes", "who", "image")


def configure(config: AppConfig) -> None:
    """Send the log of this process to standard error, in the configured form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if config.log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    level = config.log_level.upper()
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name in _HUSHED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Warnings of the libraries quote values too; captured, they go to py.warnings and are hushed with it.
    logging.captureWarnings(True)


def log_request(exchange: Exchange, image: str = "") -> None:
    """Write the line of one request."""
    quiet = exchange.route in _QUIET_ROUTES and exchange.status < 400
    level = logging.DEBUG if quiet else logging.WARNING if exchange.status >= 500 else logging.INFO
    if not logger.isEnabledFor(level):
        return
    said = {
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "ms": round(exchange.seconds * 1000, 1),
        "bytes": exchange.sent,
        "who": exchange.who.name if exchange.who else "-",
        "image": image,
    }
    logger.log(level, "request", extra={"request": {name: said[name] for name in _FIELDS if said[name] != ""}})


class HideNames(logging.Filter):
    """Takes out of every line what people name after patients.

    Args:
        studies: folder of the studies, or their address: what follows it in a line names a file.
        ids: returns the image ids that may name a patient.
        name: returns what stands for one of them.
    """

    def __init__(self, studies: str, ids: Callable[[], Iterable[str]], name: Callable[[str], str]) -> None:
        super().__init__()
        self._below = re.compile(re.escape(studies) + r"/[^'\"\n]*")
        self._ids, self._name = ids, name

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the line; let it pass."""
        if not hasattr(record, "request"):
            said = self._below.sub("(a file of the studies)", record.getMessage())
            for ident in sorted(self._ids(), key=len, reverse=True):
                if ident in said:
                    said = re.sub(rf"(?<![A-Za-z0-9]){re.escape(ident)}(?![A-Za-z0-9])", self._name(ident), said)
            record.msg, record.args = said, ()
        return True


def hide(names: HideNames) -> None:
    """Have every line of this process pass a filter."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(names)


class TextFormatter(logging.Formatter):
    """``2026-11-21T08:05:01.250Z INFO  [id] what was said``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the lines of code of an error below it."""
        request: dict[str, Any] = getattr(record, "request", {})
        said = " ".join(f"{name}={one_line(str(value))}" for name, value in request.items())
        ident = request_id.current.get()
        head = f"{_time(record)} {record.levelname:<7} {f'[{ident}] ' if ident else ''}"
        text = head + (said or one_line(record.getMessage()))
        return text + (f"\n{explained(record.exc_info[1])}" if record.exc_info and record.exc_info[1] else "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        if request_id.current.get():
            said["request_id"] = request_id.current.get()
        request: dict[str, Any] = getattr(record, "request", {})
        said |= request or {"message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            said["error"] = explained(record.exc_info[1])
        return json.dumps(said, default=str)


def explained(error: BaseException) -> str:
    """Return an error and what caused it: types and lines of code, messages only where they quote no data."""
    parts = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        lines = "".join(traceback.format_tb(link.__traceback__))
        parts.append(f"{lines}{type(link).__module__}.{type(link).__qualname__}: {_message(link)}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\ncaused by:\n".join(parts)


def _message(error: BaseException) -> str:
    """Return an error's message where it cannot quote a patient's data."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without the file's name: people name files after patients
    if isinstance(error, _TECHNICAL) or type(error).__module__.partition(".")[0] == "torch":
        return one_line(str(error))
    return "(its message is left out of the log: it may quote patients' data)"


def one_line(text: str) -> str:
    """Keep text on its line, so that nobody can write lines of their own into the log."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _time(record: logging.LogRecord) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

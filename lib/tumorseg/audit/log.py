"""The audit log: who saw and changed what.

    log = AuditLog(folder)
    log.record("ann", "annotator", "label.save", "case1", 200, request_id, {"tag": "final"})

Several processes and threads may append. A record is on the disk when :meth:`AuditLog.record` returns.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tumorseg.audit.database import INSERT, connect, identity, newest
from tumorseg.audit.pseudonym import load_key, looks_like_uid, pseudonym
from tumorseg.audit.record import COLUMNS, DONE, AuditRecord
from tumorseg.errors import UnavailableError

logger = logging.getLogger(__name__)

KEY_NAME = "audit.key"
_MAX_TEXT = 256
_MAX_DETAIL = 4096


class AuditError(UnavailableError):
    """What happens cannot be recorded (HTTP 503)."""


@dataclass(frozen=True)
class Event:
    """What is to be recorded, in the words of who reports it; see :class:`tumorseg.audit.record.AuditRecord`."""

    who: str
    role: str
    action: str
    image: str | None = None
    status: int = 0
    request: str = ""
    detail: Mapping[str, Any] | None = None
    how: str = ""
    study: str = ""
    label: str = ""
    address: str = ""
    phase: str = DONE


class AuditLog:
    """The audit log of a folder.

    Args:
        folder: where the log and its key lie; made where it does not exist.
        dicom: whether image ids are SeriesInstanceUIDs, which are kept as they are; of files a digest is kept.
        clock: tells the time; for tests.
    """

    def __init__(
        self, folder: Path, *, dicom: bool = False, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = folder
        self._dicom = dicom
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._key: bytes | None = None

    def record(
        self,
        who: str,
        role: str,
        action: str,
        image: str | None = None,
        status: int = 0,
        request_id: str = "",
        detail: Mapping[str, Any] | None = None,
        *,
        how: str = "",
        study: str = "",
        label: str = "",
        address: str = "",
        phase: str = DONE,
    ) -> AuditRecord:
        """Append one record; it is on the disk when this returns.

        Raises:
            AuditError: it cannot be written (disk full, folder read-only); what it is about must not happen then.
        """
        event = Event(who, role, action, image, status, request_id, detail, how, study, label, address, phase)
        return self.append([event])[0]

    def append(self, events: Sequence[Event]) -> list[AuditRecord]:
        """Append several records in one transaction; see :meth:`record`."""
        with self._transaction() as connection:
            seq, before = newest(connection)
            records = []
            for event in events:
                seq += 1
                record = self._made(event, seq)
                record = replace(record, digest=record.chained(before))
                connection.execute(INSERT, _row(record))
                before = record.digest
                records.append(record)
        return records

    def image_name(self, image: str | None) -> str:
        """Return what stands in the log for an image id."""
        if not image:
            return ""
        if self._dicom and looks_like_uid(image):
            return image
        return self.pseudonym_of(image)

    def pseudonym_of(self, image: str) -> str:
        """Return the keyed digest of an image id."""
        if self._key is None:
            with _spoken(self.folder):
                self._key = load_key(self.folder / KEY_NAME)
        return pseudonym(image, self._key)

    def head(self) -> tuple[int, str]:
        """Return number and digest of the newest record: kept elsewhere, they show that nothing was cut off."""
        with self._lock, _spoken(self.folder):
            return newest(self._opened())

    def check(self) -> None:
        """Raise AuditError where the next record could not be written, as far as that can be told without writing."""
        with self._transaction() as connection:
            newest(connection)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _made(self, event: Event, seq: int) -> AuditRecord:
        """Put what was reported into the form of the log: short texts, no line breaks, no id of a file."""
        now = self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        study = event.study if looks_like_uid(event.study) else ""
        texts = (event.who, event.role, event.how, event.action)
        who, role, how, action = map(_plain, texts)
        return AuditRecord(
            seq=seq,
            time=now,
            who=who,
            role=role,
            how=how,
            action=action,
            image=self.image_name(event.image),
            study=study,
            label=_plain(event.label),
            status=int(event.status),
            phase=_plain(event.phase),
            request=_plain(event.request),
            address=_plain(event.address),
            detail=_bounded(event.detail),
        )

    def _opened(self) -> sqlite3.Connection:
        """Return the connection; the lock is held. What is written to a file that was deleted would be lost."""
        if self._connection is not None and self._file != identity(self.folder):
            logger.error("the audit log in %s was taken away under the server: a new one begins", self.folder)
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = connect(self.folder)
            self._file = identity(self.folder)
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection within a transaction that nobody else writes beside."""
        with self._lock, _spoken(self.folder):
            connection = self._opened()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()  # rolls back; a disk that was full or gone is tried afresh by the next record
                self._connection = None
                raise


@contextmanager
def _spoken(folder: Path) -> Iterator[None]:
    """Turn what the disk says into an error that names the folder."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        logger.exception("the audit log in %s cannot be used", folder)
        raise AuditError(
            f"the audit log cannot be written ({error}): nothing is changed without a record; look at the disk of the "
            f"state folder"
        ) from error


def _plain(text: str) -> str:
    """Keep a text on one line and short: the log is read in terminals."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text)[:_MAX_TEXT])


def _bounded(detail: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what else was said as it will be read back; what is too long is left out and says so."""
    text = json.dumps(dict(detail or {}), default=str, sort_keys=True)
    known: dict[str, Any] = json.loads(text) if len(text) <= _MAX_DETAIL else {"left_out": f"{len(text)} characters"}
    return known


def _row(record: AuditRecord) -> tuple[Any, ...]:
    """Return the values of the columns."""
    values = record.as_json() | {"detail": json.dumps(record.detail, sort_keys=True)}
    return tuple(values[name] for name in COLUMNS)

"""One line of the audit log, and the digest that ties it to the line before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

#: What stands before the first record ever.
GENESIS = "0" * 64
#: A request that is about to change something, recorded before it does; and what came of a request.
INTENT, DONE = "intent", "done"


@dataclass(frozen=True)
class AuditRecord:
    """Who did what, when, and what came of it. Never holds a patient's name or PatientID.

    Attributes:
        seq: 1, 2, 3, … without a gap.
        time: ISO 8601 in UTC, milliseconds; the order is that of ``seq``, also where a clock was set back.
        who: name of the person or program.
        role: their role, in lower case.
        how: how they were recognised (``token``, ``cookie``, ``oidc``, ``loopback``), or ``cli``.
        action: the word of the route's rule, such as ``label.save``.
        image: a SeriesInstanceUID, or ``id:`` and the keyed digest of the id of an image that is a file.
        study: StudyInstanceUID where it was named.
        label: uid of the label version where one was named or made.
        status: HTTP status of the answer; 0 for an intent.
        phase: :data:`INTENT` or :data:`DONE`.
        request: the request id, as in the server's log.
        address: where the request came from, empty where that is not kept.
        detail: what else is worth knowing, JSON-able.
        digest: SHA-256 (hex) of the digest before and everything above.
    """

    seq: int
    time: str
    who: str
    role: str
    how: str
    action: str
    image: str
    study: str
    label: str
    status: int
    phase: str
    request: str
    address: str
    detail: dict[str, Any]
    digest: str = ""

    def chained(self, before: str) -> str:
        """Return the digest of this record after one whose digest is ``before``."""
        said = {name: value for name, value in asdict(self).items() if name != "digest"}
        text = json.dumps([before, said], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return the record for machines."""
        return asdict(self)


#: The columns of the table, in the order of the attributes.
COLUMNS = tuple(AuditRecord.__dataclass_fields__)

"""A number for every request, in its answer, in every log line it causes and in the audit log."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

HEADER = "X-Request-ID"
# What a proxy may hand on: long enough to be one, and nothing that could break a log line.
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{7,63}")

#: The id of the request that this thread or task works on; empty outside of requests. The framework's threads see
#: it, other threads see it where their work runs in ``contextvars.copy_context()``.
current: ContextVar[str] = ContextVar("tumorseg_request_id", default="")


def chosen(incoming: str) -> str:
    """Return the id that a proxy sent where it is well formed, else a new one."""
    return incoming if _WELL_FORMED.fullmatch(incoming) else uuid.uuid4().hex[:20]

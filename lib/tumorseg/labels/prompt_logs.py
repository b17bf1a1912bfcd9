"""How label versions came about: the prompts behind them, one text a version, kept beside the labels.

The index has them, so that they go into every backup; like reviews they are written beside it once more (``prompts/``),
from which a lost one is made again. A text is added and never changed: what was clicked is history, as the label is.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from tumorseg.labels.objects import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from tumorseg.labels.database import Database

logger = logging.getLogger(__name__)

#: Where the texts are written once more, beside the index.
PROMPTS_FOLDER = "prompts"
#: Ending of such a file, behind the uid of the version.
PROMPTS_SUFFIX = ".prompts.json"
_UID = re.compile(r"[0-9a-f]{32}")
#: SQLite takes so many parameters in one statement everywhere.
_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS prompt_logs (uid TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS prompt_logs_stay BEFORE UPDATE ON prompt_logs
BEGIN SELECT RAISE(ABORT, 'a prompt log is never changed'); END;
CREATE TRIGGER IF NOT EXISTS prompt_logs_are_kept BEFORE DELETE ON prompt_logs
BEGIN SELECT RAISE(ABORT, 'a prompt log is never deleted'); END;
"""


class PromptLogs:
    """The prompt logs in one database of labels.

    Args:
        database: of the label history.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._beside = database.path.with_name(PROMPTS_FOLDER)
        database.ensure("prompt_logs", _SCHEMA)

    def keep(self, uid: str, text: str) -> None:
        """Keep the log of a version, once: the same label sent again says nothing new.

        Raises:
            StorageError: the disk refuses.
        """
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO prompt_logs (uid, text) VALUES (?, ?)", (uid, text))
        path = self._file(uid)
        try:
            if not path.exists():
                write_durably(path, text.encode())
        except OSError as error:
            logger.warning("the prompts of label %s are kept in the index only: %s", uid, error)

    def of(self, uid: str) -> str | None:
        """Return the log of a version, None where it has none."""
        rows = self._database.rows("SELECT text FROM prompt_logs WHERE uid = ?", uid)
        return str(rows[0]["text"]) if rows else None

    def known(self, uids: Iterable[str]) -> frozenset[str]:
        """Return which of the versions have a log."""
        asked, found = list(uids), set[str]()
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._database.rows(f"SELECT uid FROM prompt_logs WHERE uid IN ({marks})", *part)
            found |= {row["uid"] for row in rows}
        return frozenset(found)

    def recover(self) -> int:
        """Put logs back that are beside the index and not in it; say how many."""
        found = 0
        for path in sorted(self._beside.glob(f"*{PROMPTS_SUFFIX}")):
            uid = path.name.removesuffix(PROMPTS_SUFFIX)
            with suppress(OSError, ValueError):
                text = path.read_text(encoding="utf-8")
                json.loads(text)  # a damaged one is as good as none
                if _UID.fullmatch(uid):
                    with self._database.transaction() as connection:
                        sql = "INSERT OR IGNORE INTO prompt_logs (uid, text) VALUES (?, ?)"
                        found += connection.execute(sql, (uid, text)).rowcount
        return found

    def _file(self, uid: str) -> Path:
        return self._beside / f"{uid}{PROMPTS_SUFFIX}"

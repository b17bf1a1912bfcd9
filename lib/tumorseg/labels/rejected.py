"""Images whose label is to be made again: nothing that was saved of them since it was last removed is let count.

Nothing counts where no version is approved and the newest one of every author is rejected, which is what a training
says of it (:func:`tumorseg.adapters.learning.cases.counting`). Such an image has a label, and is as good as without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.labels.reviews import Reviews

if TYPE_CHECKING:
    from tumorseg.labels.database import Database

#: Selects these images; the tag is parameter 1. Only what was ever rejected is looked at: that is little.
REJECTED = """
SELECT v.image FROM (
  SELECT DISTINCT image FROM reviews JOIN versions USING (uid) WHERE verdict = 'reject' AND tag = ?1
) v JOIN heads h ON h.image = v.image AND h.tag = ?1 AND h.kind <> 'removed'
WHERE NOT EXISTS (
  SELECT 1 FROM versions o
  WHERE o.image = v.image AND o.tag = ?1
  AND o.seq > (
    SELECT IFNULL(MAX(r.seq), 0) FROM versions r WHERE r.image = v.image AND r.tag = ?1 AND r.kind = 'removed'
  )
  AND CASE (SELECT s.verdict FROM reviews s WHERE s.uid = o.uid AND s.verdict <> 'comment' ORDER BY s.id DESC LIMIT 1)
    WHEN 'approve' THEN 1
    WHEN 'reject' THEN 0
    ELSE NOT EXISTS (
      SELECT 1 FROM versions n WHERE n.image = o.image AND n.tag = ?1 AND n.author = o.author AND n.seq > o.seq
    )
  END
)
"""
_NEWEST = "SELECT uid FROM versions ORDER BY seq DESC LIMIT 1"
_LAST_REVIEW = "SELECT MAX(id) AS id FROM reviews"


class Rejected:
    """The images of one index whose label is to be made again, by tag; from memory while nothing changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        Reviews(database)  # its table is asked
        self._known: tuple[object, dict[str, frozenset[str]]] = ((), {})

    def images(self, tag: str) -> frozenset[str]:
        """Return the images with a label of this tag none of whose versions counts."""
        stamp = tuple(tuple(row) for sql in (_NEWEST, _LAST_REVIEW) for row in self._database.rows(sql))
        known = self._known
        if stamp != known[0]:
            known = self._known = (stamp, {})
        if tag not in known[1]:
            known[1][tag] = frozenset(row["image"] for row in self._database.rows(REJECTED, tag))
        return known[1][tag]

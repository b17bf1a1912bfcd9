"""What the serving version comes from: which labels its line has learned from, and which of it was better for sure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tumorseg.errors import NotFoundError
from tumorseg.versions.types import SHIPPED

if TYPE_CHECKING:
    from tumorseg.versions.store import VersionStore
    from tumorseg.versions.types import VersionCard


class Lineage:
    """The serving version of a model, its parent, and so on.

    Args:
        store: all versions.
        model: registry name.
    """

    def __init__(self, store: VersionStore, model: str) -> None:
        self._store, self._model = store, model

    def cards(self) -> Iterator[VersionCard]:
        """Yield the serving version and those before it; it ends at the shipped weights, or where a card was lost."""
        version: str | None = self._store.serving(self._model)
        seen: set[str] = set()
        while version and version != SHIPPED and version not in seen:
            seen.add(version)
            try:
                card = self._store.get(self._model, version)
            except NotFoundError:
                return
            yield card
            version = card.parent

    def learned(self) -> tuple[set[tuple[str, str]], set[str]]:
        """Return (image, digest of its label) that some version of the line used, and uids of labels left out."""
        used: set[tuple[str, str]] = set()
        passed: set[str] = set()
        for card in self.cards():
            used |= {(case.image, case.sha256) for case in card.cases}
            passed |= {str(label.get("label")) for label in card.measured.get("left_out", ())}
        return used, passed

    def anchor(self) -> str:
        """Return the newest version of the line that stands by itself.

        A version that is not worse beyond a margin may be a little worse, the next one again, and after ten rounds the
        model is bad although no round was refused. Therefore a candidate must hold against this one too: the last
        version that was better for sure, than its parent *and* than the version that it was itself held against here
        (a small gain after a small loss is none), or that a person sent.
        """
        for card in self.cards():
            if card.how == "uploaded" or not card.parent or _was_better(card):
                return card.id
        return SHIPPED


def _was_better(card: VersionCard) -> bool:
    """Whether a training gained for sure on all that it was compared with."""
    held = card.measured.get("anchor") or {"better": True}
    return bool(card.measured.get("better")) and bool(held.get("better"))

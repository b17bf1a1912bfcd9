"""All versions of a model, those among them that servers of before the versions left without a card."""

from __future__ import annotations

from pathlib import Path

from tumorseg.errors import InputError
from tumorseg.versions.cards import announced_ids, last_number, make_id, read_cards
from tumorseg.versions.files import CARDS, weights_file
from tumorseg.versions.pointer import Pointer, read_pointer
from tumorseg.versions.types import SHIPPED, VersionCard


def known_cards(folder: Path) -> dict[str, VersionCard]:
    """Return all cards of a model's folder by id, newest first.

    Each digest of the history that has no card, and whose file is there, gets one. As long as nobody changes the folder
    these are made anew on every look, and always alike; whoever changes it writes them first. What was announced counts
    where it ever served; who cannot tell, since the pointer is damaged, leaves none out.
    """
    try:
        pointer = read_pointer(folder)
    except InputError:
        return read_cards(folder / CARDS, announced_ids(folder / CARDS))
    cards = read_cards(folder / CARDS, [served.version for served in pointer.history])
    return {**_adopted(folder, pointer, cards), **cards}


def is_published(card: VersionCard) -> bool:
    """Whether a version was let serve."""
    return card.status == "published"


def _adopted(folder: Path, pointer: Pointer, cards: dict[str, VersionCard]) -> dict[str, VersionCard]:
    """Make the cards that are missing, newest first."""
    ids = {card.sha256: card.id for card in reversed(cards.values()) if is_published(card)}
    number, parent = last_number(cards), SHIPPED
    made: list[VersionCard] = []
    for served in pointer.history:
        sha256 = served.sha256
        if not served.version and sha256 not in ids and sha256 and weights_file(folder, sha256).is_file():
            number += 1
            ids[sha256] = make_id(number, sha256)
            why = "uploaded before versions had cards"
            made.append(
                VersionCard(
                    id=ids[sha256],
                    model=folder.name,
                    sha256=sha256,
                    made_at=served.made_at,
                    made_by=served.who,
                    how="uploaded",
                    parent=parent,
                    status="published",
                    why=why,
                )
            )
        parent = served.version or ids.get(sha256, parent)
    return {card.id: card for card in reversed(made)}

"""Versions of weights that a site trains or brings, and which of them serves: ``<state>/weights/<model>/``.

===========================  ==========================================================================================
``<sha256>.safetensors``     weights of a published version; never changed or removed
``cards/<id>.json``          what is known of a version, published or refused; written once
``cards/<id>.announced``     the same while it is being published; counts as soon as the pointer names it
``current.json``             which one serves, and what served before (:mod:`tumorseg.versions.pointer`)
``.lock``                    held by whoever changes the folder; several processes may
===========================  ==========================================================================================

A version is published in this order: weights, announced card, pointer, card, each on the disk before the next. Whoever
is killed before the pointer leaves the old version serving, no new one, and at most weights that nothing names; the
next change removes half-written files and what was only announced. Reading takes no lock: what is named is there, and
the pointer is replaced in one step.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from tumorseg.errors import ConflictError, InputError, NotFoundError
from tumorseg.versions.adopted import is_published, known_cards
from tumorseg.versions.cards import (
    card_ids,
    confirm_card,
    discard_announced,
    last_number,
    make_id,
    number_of,
    read_cards,
    require_digest,
    write_card,
)
from tumorseg.versions.files import CARDS, alone, holds, keep_weights, weights_file
from tumorseg.versions.pointer import Pointer, read_pointer, stamp_of, write_pointer
from tumorseg.versions.types import SHIPPED, VersionCard

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")


class VersionStore:
    """The versions of every model.

    Args:
        root: ``<state>/weights``; need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def models(self) -> builtins.list[str]:
        """Return the models that have versions of their own, by name."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_dir() and _MODEL.fullmatch(path.name))

    def current(self, model: str) -> Path | None:
        """Return the weights that serve, None for those that come with the package.

        Raises:
            InputError: the pointer is damaged, or the file is gone.
        """
        folder = self._folder(model)
        sha256 = read_pointer(folder).serving.sha256
        if not sha256:
            return None
        path = weights_file(folder, sha256)
        if not path.is_file():
            raise InputError(
                f"the weights {path.name} of {model} are gone: bring them back from a backup, or send new ones"
            )
        return path

    def serving(self, model: str) -> str:
        """Return the id of the version that serves, SHIPPED for the weights that come with the package.

        Raises:
            InputError: the pointer is damaged.
        """
        folder = self._folder(model)
        served = read_pointer(folder).serving
        if served.version or not served.sha256:
            return served.version or SHIPPED
        # Written by a server of before the versions: the newest card of these weights.
        cards = known_cards(folder).values()
        return next((card.id for card in cards if card.sha256 == served.sha256 and is_published(card)), SHIPPED)

    def stamp(self, model: str) -> object:
        """Return what differs when the pointer does; one look at one file."""
        return stamp_of(self._folder(model))

    def new_id(self, model: str, sha256: str) -> str:
        """Return an id later than every one there is; where two ask at once, publishing decides who gets it."""
        return make_id(_last(self._folder(model)) + 1, sha256 and require_digest(sha256))

    def list(self, model: str) -> builtins.list[VersionCard]:
        """Return the cards of all versions, published and refused, newest first."""
        return list(known_cards(self._folder(model)).values())

    def get(self, model: str, version: str) -> VersionCard:
        """Return the card of a version; NotFoundError where there is none of this id."""
        cards = known_cards(self._folder(model))
        return cards[version] if version in cards else _unknown(model, version, list(cards))

    def weights(self, model: str, version: str) -> Path:
        """Return where the weights of a version lie, or lay; NotFoundError where there is no such version."""
        return weights_file(self._folder(model), self.get(model, version).sha256)

    def by_weights(self, model: str, version: str) -> VersionCard | None:
        """Return the newest published card of what an answer or a label calls ``version``.

        Args:
            model: registry name.
            version: the beginning of the weights' SHA-256, 12 digits as a rule (``Prediction.version``).
        """
        if not version:
            return None
        cards = (card for card in self.list(model) if is_published(card))
        return next((card for card in cards if card.sha256.startswith(version)), None)

    def before(self, model: str) -> str:
        """Return the id of what served when the serving version was made: what a rollback goes back to.

        Raises:
            InputError: the shipped weights serve; or the pointer is damaged.
        """
        serving = self.serving(model)
        if serving == SHIPPED:
            raise InputError(f"{model} uses the weights that come with it: there is nothing before them")
        return self.get(model, serving).parent or SHIPPED

    def publish(self, card: VersionCard, file: Path, *, compared: bool = False) -> VersionCard:
        """Keep a copy of the weights and serve them from now on.

        Args:
            card: with status ``published`` and the digest of the file.
            file: safetensors.
            compared: whether it may serve because it was compared with its parent, which must then serve still.

        Returns:
            The card as it is kept: with a later id where another version came in between.

        Raises:
            InputError: the file is not what the card says, the card is no published one, or the pointer is damaged.
            ConflictError: another version serves by now than the one that it was compared with.
        """
        if not is_published(card):
            raise InputError(f"expected a card that says published, got {card.status!r}: keep it with refuse()")
        with self._changing(card.model) as folder:
            pointer = read_pointer(folder)
            if compared and (serving := self.serving(card.model)) != (card.parent or SHIPPED):
                raise ConflictError(f"compared with {card.parent}, but {serving} serves by now: compare with that")
            keep_weights(folder, file, require_digest(card.sha256))
            kept = self._write(folder, card, announced=True)
            write_pointer(folder, pointer.moved(kept.id, kept.sha256, card.made_by, "publish"))
            confirm_card(folder / CARDS, kept.id)
        return kept

    def refuse(self, card: VersionCard) -> VersionCard:
        """Keep the card of a version that was not let serve; its weights are not kept. What serves stays.

        Returns:
            The card as it is kept: with a later id where another version came in between.

        Raises:
            InputError: the card does not say refused.
        """
        if card.status != "refused":
            raise InputError(f"expected a card that says refused, got {card.status!r}: keep it with publish()")
        with self._changing(card.model) as folder:
            return self._write(folder, card)

    def rollback(self, model: str, version: str, who: str) -> VersionCard | None:
        """Serve a published version again, or SHIPPED; only the pointer is changed. Mends a damaged pointer too.

        Args:
            model: registry name.
            version: id, or SHIPPED.
            who: who does it.

        Returns:
            Its card; None for the shipped weights.

        Raises:
            NotFoundError: there is no such version.
            InputError: it was refused, or its weights are gone or damaged.
        """
        if version == SHIPPED and not self._folder(model).is_dir():
            return None
        with self._changing(model) as folder:
            card = None if version == SHIPPED else self._usable(folder, model, version)
            try:
                pointer = read_pointer(folder)
            except InputError:
                pointer = Pointer()
            else:
                if pointer.serving.version == version:
                    return card
            write_pointer(folder, pointer.moved(version, card.sha256 if card else "", who, "rollback"))
        return card

    def _usable(self, folder: Path, model: str, version: str) -> VersionCard:
        """Return the card of a version that can serve."""
        cards = known_cards(folder)
        published = [card.id for card in cards.values() if is_published(card)]
        if version not in cards:
            _unknown(model, version, published)
        card = cards[version]
        if not is_published(card):
            raise InputError(f"{version} of {model} was refused and cannot serve ({card.why}); {_there_is(published)}")
        if not holds(weights_file(folder, card.sha256), card.sha256):
            raise InputError(
                f"the weights of {version} of {model} are gone or damaged: bring back {card.sha256}.safetensors from a "
                f"backup; {_there_is(published)}"
            )
        return card

    def _write(self, folder: Path, card: VersionCard, *, announced: bool = False) -> VersionCard:
        """Write a card under an id later than all that are there; the lock is held."""
        last = _last(folder)
        number = number_of(card.id)
        kept = card if number > last else replace(card, id=make_id(last + 1, card.sha256))
        if make_id(number_of(kept.id), kept.sha256) != kept.id:
            raise InputError(f"expected an id as new_id() makes it, got {card.id!r}")
        write_card(folder / CARDS, kept, announced=announced)
        return kept

    @contextmanager
    def _changing(self, model: str) -> Iterator[Path]:
        """Hold the folder of a model alone; versions of old servers written down, announcements settled."""
        folder = self._folder(model)
        with alone(folder):
            stored = read_cards(folder / CARDS)
            for card in reversed(known_cards(folder).values()):
                if card.id not in stored:
                    write_card(folder / CARDS, card)
            discard_announced(folder / CARDS)
            yield folder

    def _folder(self, model: str) -> Path:
        if not _MODEL.fullmatch(model):
            raise NotFoundError(f"unknown model {model[:80]!r}")
        return self.root / model


def _last(folder: Path) -> int:
    """Return the highest number that a version of a model has."""
    return last_number([*known_cards(folder), *card_ids(folder / CARDS)])


def _unknown(model: str, version: str, known: list[str]) -> NoReturn:
    raise NotFoundError(f"{model} has no version {version[:80]!r}; {_there_is(known)}")


def _there_is(known: list[str]) -> str:
    return f"there is: {', '.join([*known, SHIPPED])}"

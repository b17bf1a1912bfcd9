"""Puts the clicks behind a label beside it when it is saved, whoever saves it: our own route or a viewer's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tumorseg.adapters.interactive.records import MOST_CHARACTERS, record_of
from tumorseg.errors import TumorSegError
from tumorseg.labels.prompt_logs import PromptLogs

if TYPE_CHECKING:
    from tumorseg.adapters.interactive.sessions import Entries, Entry
    from tumorseg.labels.history import LabelHistory
    from tumorseg.labels.types import LabelVersion

logger = logging.getLogger(__name__)


class PromptKeeper:
    """See the module.

    Args:
        history: of the labels.
        entries: the masks in the making.

    Attributes:
        logs: what is kept.
    """

    def __init__(self, history: LabelHistory, entries: Entries) -> None:
        self.logs = PromptLogs(history.database)
        self._entries = entries

    def saved(self, version: LabelVersion, owner: str, *, anyone: bool = False) -> None:
        """Keep what somebody clicked on the image of a label that was just saved.

        The label is kept by now: nothing here makes that fail.

        Args:
            version: as it was kept.
            owner: whose masks they are.
            anyone: whether nobody signs in here: where the name clicked nothing, somebody else's clicks are meant.
        """
        made = self._entries.of(version.image, owner)
        made = made if made or not anyone else self._entries.of(version.image, None)
        # What was clicked before the image was replaced says nothing of a label on the one that is there now.
        self.keep(version, [entry for entry in made if entry.look.state == made[-1].look.state])

    def keep(self, version: LabelVersion, entries: Sequence[Entry]) -> None:
        """Keep how these masks came about; as above."""
        try:
            text = record_of(entries)
            if text is None or version.kind == "removed":
                return
            if len(text) > MOST_CHARACTERS:
                logger.warning("the prompts of label %s are not kept: %d characters of them", version.uid, len(text))
                return
            self.logs.keep(version.uid, text)
        except (TumorSegError, OSError) as error:
            logger.warning("the prompts of label %s are not kept: %s", version.uid, error)
        except Exception:
            logger.exception("the prompts of label %s are not kept", version.uid)

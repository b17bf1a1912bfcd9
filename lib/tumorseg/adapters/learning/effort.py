"""Finds out what a label cost: the time since its case was opened, and what was changed of the model's answer.

Every request only leaves a note here; reading, comparing and writing happen in one thread of its own, in the order of
the notes. What goes wrong there is logged: no answer and no save ever fails or waits for it.

When somebody began is remembered in this process only, and after a restart the lease of the case says so. A case that
was opened and left counts from the next look, and longer than :data:`LONGEST_S` is no time that anybody worked.

Whether the image had a final label when the work began is noted too. To put a last voxel right in a colleague's label
says nothing of a model's proposal; and the answer of a version that learned from this very label is no test of it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.learning.proposals import Proposal
from tumorseg.errors import TumorSegError
from tumorseg.labels.effort import Edit, comparable, edit
from tumorseg.labels.efforts import Effort, Efforts

if TYPE_CHECKING:
    from tumorseg.adapters.grids import ImagePlace, ImagePlaces
    from tumorseg.adapters.learning.proposals import Proposals
    from tumorseg.adapters.wire import InferResult
    from tumorseg.labels.agreement import Masks
    from tumorseg.labels.history import LabelHistory
    from tumorseg.labels.leases import Leases
    from tumorseg.labels.types import LabelVersion

logger = logging.getLogger(__name__)

#: A save later than this after the first look says nothing of the time that the work took, s.
LONGEST_S = 7200.0
#: The tag of what a model made, as MONAI Label calls it.
ORIGINAL = "original"
_MOST_BEGUN = 4096
#: Notes that may wait, and bytes of their label maps; further ones are dropped.
_MOST_NOTES, _MOST_BYTES = 256, 512 << 20


class EffortDesk:
    """Takes the notes of a server.

    Args:
        history: of the labels.
        places: where the voxels of images lie.
        leases: who works on what.
        proposals: keeps the answers.
        clock: wall time, s since 1970.

    Attributes:
        efforts: what was found out.
    """

    def __init__(
        self,
        history: LabelHistory,
        places: ImagePlaces,
        leases: Leases,
        proposals: Proposals,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.efforts = Efforts(history.database)
        self._history, self._places, self._leases, self._proposals = history, places, leases, proposals
        self._clock = clock
        self._begun: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "effort")
        self._notes, self._bytes = 0, 0

    def given(self, image: str, holder: str) -> None:
        """Note that somebody was given a case: they begin with it and are done with every other."""
        with self._lock:
            for key in [key for key in self._begun if key[1] == holder]:
                del self._begun[key]
            self._begin(image, holder)

    def looked(self, image: str, holder: str) -> None:
        """Note that somebody looks at an image; the first look counts, until it is too long ago."""
        with self._lock:
            since = self._begun.get((image, holder))
            if since is None or not 0 <= self._clock() - since <= LONGEST_S:
                self._begin(image, holder)

    def proposed(self, image: str, holder: str, result: InferResult) -> None:
        """Note the answer that somebody was given; one without a label map is only a look."""
        self.looked(image, holder)
        mask, said, given = result.mask, result.params, self._clock()
        if mask is not None:
            model, version = str(said.get("model", "")), str(said.get("version", ""))
            work = partial(self._proposals.keep, image, holder, mask, model, version, given)
            self._later(f"the answer about {image}", work, mask.voxels.nbytes)

    def saved(self, version: LabelVersion, holder: str, *, anyone: bool = False) -> None:
        """Note a final label; before its lease is ended.

        Args:
            version: as it was kept.
            holder: under which name the case is theirs.
            anyone: whether nobody signs in here, so that names tell nobody apart.
        """
        now = self._clock()
        since = self._since(version.image, holder, anyone)
        seconds = None if since is None or not 0 <= now - since <= LONGEST_S else now - since
        begun = Effort(version.uid, version.image, version.author, now, seconds)
        self._later(f"what label {version.uid} cost", partial(self._record, version, holder, anyone, begun))

    def wait(self, seconds: float) -> None:
        """Wait until every note so far is dealt with; TimeoutError where that takes longer."""
        self._thread.submit(lambda: None).result(seconds)

    def close(self) -> None:
        """Deal with the notes that are there, and take no more."""
        self._thread.shutdown(wait=True)

    def _begin(self, image: str, holder: str) -> None:
        self._begun[image, holder] = self._clock()
        while len(self._begun) > _MOST_BEGUN:
            self._begun.popitem(last=False)

    def _since(self, image: str, holder: str, anyone: bool) -> float | None:
        """Take out when somebody began with an image; None where nobody knows."""
        with self._lock:
            known = self._begun.pop((image, holder), None)
            if anyone:
                # One person may go by several names here: what only downloads says no client_id. None may stay, the
                # next save of this image would count the same time again.
                others = [self._begun.pop(key) for key in list(self._begun) if key[0] == image]
                known = max(others, default=None) if known is None else known
        if known is None:
            with suppress(TumorSegError):
                lease = self._leases.get(image)
                known = lease.since if lease is not None and (anyone or lease.holder == holder) else None
        return known

    def _later(self, what: str, work: Callable[[], Any], nbytes: int = 0) -> None:
        """Do something in the thread, unless too much waits for it already."""
        with self._lock:
            full = self._notes >= _MOST_NOTES or (self._notes > 0 and self._bytes + nbytes > _MOST_BYTES)
            if not full:
                self._notes, self._bytes = self._notes + 1, self._bytes + nbytes
        if full:
            logger.warning("%s is not kept: too much waits to be compared", what)
            return
        try:
            self._thread.submit(self._do, what, work, nbytes)
        except RuntimeError:  # closed
            self._dealt_with(nbytes)

    def _do(self, what: str, work: Callable[[], Any], nbytes: int) -> None:
        try:
            work()
        except (TumorSegError, OSError) as error:
            logger.warning("%s is not kept: %s", what, error)
        except Exception:
            logger.exception("%s is not kept", what)
        finally:
            self._dealt_with(nbytes)

    def _dealt_with(self, nbytes: int) -> None:
        with self._lock:
            self._notes, self._bytes = self._notes - 1, self._bytes - nbytes

    def _record(self, version: LabelVersion, holder: str, anyone: bool, begun: Effort) -> None:
        """Find the proposal, compare, and keep what came out; without a comparison the time is kept."""
        effort = begun
        try:
            place = self._places.of(version.image)
            proposal = None if place is None else self._proposal(version.image, holder, anyone, place)
            effort = self._began(version, proposal, begun)
            if place is not None and proposal is not None:
                effort = replace(effort, edit=self._edit(proposal, version, place))
        except (TumorSegError, OSError) as error:
            logger.warning("label %s is not compared with its proposal: %s", version.uid, error)
        except Exception:  # whatever a damaged file makes a reader say: the time is known all the same
            logger.exception("label %s is not compared with its proposal", version.uid)
        self.efforts.add(effort)

    def _proposal(self, image: str, holder: str, anyone: bool, place: ImagePlace) -> Proposal | LabelVersion | None:
        answer = self._proposals.find(image, holder, anyone=anyone)
        return answer if answer is not None and _lies_on(answer, place) else self._history.head(image, ORIGINAL)

    def _began(self, version: LabelVersion, proposal: Proposal | LabelVersion | None, begun: Effort) -> Effort:
        """Say with what the work began."""
        effort, given = begun, None
        if isinstance(proposal, Proposal):
            effort = replace(begun, began="answer", model=proposal.model, model_version=proposal.version)
            given = proposal.given
        elif proposal is not None:
            effort = replace(begun, began="original", model=proposal.model, model_version=proposal.model_version)
        opened = -math.inf if begun.seconds is None else begun.saved - begun.seconds
        return replace(effort, began="label") if self._had_label(version, given, opened) else effort

    def _had_label(self, version: LabelVersion, given: float | None, opened: float) -> bool:
        """Whether the image had a final label already when the work on this version began.

        Args:
            version: that was saved.
            given: when its author was given the answer that they corrected, s since 1970; None where they had none:
                then they may have begun with whatever others saved before.
            opened: when its author first looked: what they saved since then is of the same work.
        """
        earlier = [one for one in self._history.versions(version.image, version.tag) if one.seq < version.seq]
        removed = max((one.seq for one in earlier if one.kind == "removed"), default=0)
        saved = self.efforts.saved(version.image)
        for one in (one for one in earlier if one.seq > removed):
            since = given if given is not None else opened if one.author == version.author else math.inf
            if saved.get(one.uid, datetime.fromisoformat(one.created).timestamp()) < since:
                return True
        return False

    def _edit(self, proposal: Proposal | LabelVersion, version: LabelVersion, place: ImagePlace) -> Edit:
        if isinstance(proposal, Proposal):
            before: Masks = proposal.masks
            names = {value: name for name, value in proposal.labels.items()}
        else:
            before, names = self._masks(proposal, place, {}), {}
        spacing = place.grid.spacing[::-1] if place.placed else None
        return edit(*comparable(before, self._masks(version, place, names), place.grid.shape), spacing)

    def _masks(self, version: LabelVersion, place: ImagePlace, names: dict[int, str]) -> Masks:
        from tumorseg.labels.agreement import masks_of

        path = self._history.path(version)
        return masks_of(path, version.info, place.grid, placed=place.placed, names=names)


def _lies_on(answer: Proposal, place: ImagePlace) -> bool:
    """Whether an answer is of the image as it is now: its file may have been replaced since."""
    import numpy as np

    same = answer.voxels.shape == place.grid.shape
    return same and (not place.placed or np.allclose(answer.affine, place.grid.affine, atol=1e-4))

"""Whether everything that was acknowledged is there, and putting right what can be put right.

    problems = examine(root)             # changes nothing
    problems = examine(root, repair=True)  # each says what was done

An index that is lost or damaged is made again from the files of the versions. Nothing that might be a label is ever
deleted: what is in the way is moved to ``.tumorseg/set-aside``; only drafts of a crash and files that no version
refers to are cleared away, once they are old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tumorseg.errors import InputError
from tumorseg.labels.examination import Examination, Problem
from tumorseg.labels.history import LabelHistory

#: Files that no version refers to are cleared away when they are this old, s: a younger one may be about to be.
ORPHAN_AGE_S = 3600.0


@dataclass(frozen=True)
class Report:
    """What was looked at and what was found.

    Attributes:
        root: the folder of labels.
        versions: how many versions there are.
        problems: what was found.
    """

    root: Path
    versions: int
    problems: tuple[Problem, ...]

    @property
    def unsolved(self) -> tuple[Problem, ...]:
        """What was found and not put right."""
        return tuple(problem for problem in self.problems if not problem.done)


def examine(
    root: Path,
    *,
    repair: bool = False,
    orphan_age_s: float = ORPHAN_AGE_S,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check the labels below a folder; a server may go on running meanwhile.

    Args:
        root: the folder of labels.
        repair: put right what can be put right; saves wait until that is done.
        orphan_age_s: how old a file must be that no version refers to, to be cleared away.
        progress: told of how many label files are done, of how many.

    Raises:
        InputError: there are no labels.
        StorageError: the disk refuses a repair.
    """
    if not root.is_dir():
        raise InputError(f"expected a folder of labels, but {root} is none")
    history = LabelHistory(root)
    try:
        if not repair:
            return _report(history, Examination(history, False, orphan_age_s, progress))
        with history.guard(alone=True):
            return _report(history, Examination(history, True, orphan_age_s, progress))
    finally:
        history.close()


def _report(history: LabelHistory, examination: Examination) -> Report:
    count = examination.run()
    return Report(history.root, count, tuple(examination.problems))

"""A folder of labelled patients, of whatever known layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from tumorseg.errors import InputError, NotFoundError
from tumorseg.io.kaggle_3m import Case
from tumorseg.registry import DATASETS, resolve


class CaseFolder(Protocol):
    """What every entry of DATASETS is: cases that are read when asked for, and their ids."""

    patients: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of patients."""
        ...

    def __iter__(self) -> Iterator[Case]:
        """Read one patient after the other."""
        ...


def open_dataset(root: Path | str, patients: Sequence[str] | None = None, layout: str | None = None) -> CaseFolder:
    """Open ``root`` with the first layout that fits.

    Args:
        root: the folder.
        patients: take only these, in this order.
        layout: a name in DATASETS; None tries them all.

    Raises:
        NotFoundError: no such folder, layout or patient.
        InputError: the folder is of no known layout.
    """
    root = Path(root)
    if not root.is_dir():
        raise NotFoundError(f"no folder {root}: expected one with labelled patients")
    reasons = []
    for name in [layout] if layout else DATASETS:
        factory = resolve(DATASETS, "data layout", name)
        try:
            folder: CaseFolder = factory(root, patients)
        except InputError as error:
            reasons.append(f"{name}: {error}")
        else:
            return folder
    raise InputError(f"{root} holds no labelled patients of a known layout ({'; '.join(reasons)})")

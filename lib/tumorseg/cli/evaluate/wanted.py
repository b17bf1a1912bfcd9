"""What the user asked ``tumorseg evaluate`` for, parsed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tumorseg.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """The options of one call; the names are those of the command line."""

    model: str | None
    data: Path
    subset: str | None
    patients: tuple[str, ...]
    split: str | None
    csv: Path | None
    markdown: Path | None
    figures: Path | None
    panels: Path | None
    predictions: Path | None
    report: Path | None
    store: Path | None
    format: str | None
    keep_going: bool
    weights: Path | None
    device: str
    as_json: bool
    clicks: int | None = None
    start: str | None = None
    noisy: int | None = None

    def check(self) -> None:
        """Refuse what can never be written, before any work is spent on it."""
        from tumorseg.io.files import check_target

        if self.subset and self.patients:
            raise InputError("expected either --subset or --patient, got both")
        for target in (self.csv, self.markdown, self.report, self.predictions):
            if target is not None:
                check_target(target)
        for folder in (self.figures, self.panels, self.store):
            if folder is not None and not folder.parent.is_dir():
                raise InputError(f"cannot write {folder}: the folder {folder.parent} does not exist; create it first")

    def refuse(self, kind: str, *names: str) -> None:
        """Refuse options that say nothing to this kind of model."""
        given = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name)]
        if given:
            raise InputError(f"{', '.join(given)}: nothing to write for a model that {kind}; leave it out")

    @property
    def subset_told(self) -> str | None:
        """For machines and for the names of stored results: which part of the data, None for all of it."""
        return "chosen" if self.patients else self.subset

    @property
    def subset_name(self) -> str:
        """For titles: the same in a word."""
        return self.subset_told or "all"

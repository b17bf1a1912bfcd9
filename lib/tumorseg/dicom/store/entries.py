"""What a DICOM store lists, and the contract that a folder and a remote archive both keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

#: One element of the DICOM JSON model by its tag, ``{"0020000D": {"vr": "UI", "Value": [...]}}`` (PS3.18 annex F).
Attributes = dict[str, dict[str, Any]]

# PS3.5 section 9.1, without its ban on leading zeros, which real archives break.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_MAX_LENGTH = 64


def valid_uid(text: str) -> bool:
    """Tell whether ``text`` has the form of a DICOM UID (so it is also harmless as a file or URL segment)."""
    return len(text) <= _UID_MAX_LENGTH and _UID.fullmatch(text) is not None


def require_uid(text: str, what: str = "UID") -> str:
    """Return ``text`` when it is a UID; raise InputError otherwise."""
    if not valid_uid(text):
        raise InputError(f"expected a {what} (digits and dots, at most 64), got {text[:80]!r}")
    return text


@dataclass(frozen=True)
class StudyEntry:
    """One line of the study list."""

    study_uid: str
    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    n_series: int = 0
    n_instances: int = 0


@dataclass(frozen=True)
class SeriesEntry:
    """One series, as a viewer and the annotation queue name it."""

    study_uid: str
    series_uid: str
    modality: str = ""
    description: str = ""
    number: int | None = None
    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    n_instances: int = 0


@runtime_checkable
class DicomStore(Protocol):
    """A place with DICOM studies. All methods may be called from any thread."""

    #: The folder's path or the archive's address without credentials; for messages.
    name: str

    def studies(self) -> list[StudyEntry]:
        """List the studies, newest first."""
        ...

    def series(self, study_uid: str | None = None) -> list[SeriesEntry]:
        """List the series of one study, or of all; an unknown study raises NotFoundError."""
        ...

    def find(self, series_uid: str) -> SeriesEntry:
        """Return the series called ``series_uid``; raise NotFoundError when there is none."""
        ...

    def files(self, series_uid: str) -> list[Path]:
        """Return local files of the whole series, by instance number; a remote store fetches them first."""
        ...

    def states(self) -> Mapping[str, str]:
        """Return series -> what differs once its instances do; the same object while nothing has changed.

        As of a moment ago, and nothing is fetched for it.
        """
        ...

    def check(self) -> None:
        """Raise UnavailableError where the studies cannot be reached; asks for next to nothing."""
        ...

    def close(self) -> None:
        """Let go of connections and files; what is cached on disk stays."""
        ...


def text_of(attributes: Attributes, tag: str) -> str:
    """Return the first value of ``tag`` as text, "" when there is none; a person name as its best group."""
    values = attributes.get(tag, {}).get("Value") or [""]
    value = values[0]
    if isinstance(value, dict):
        return str(value.get("Alphabetic") or value.get("Ideographic") or value.get("Phonetic") or "")
    return "" if value is None else str(value)


def number_of(attributes: Attributes, tag: str) -> int | None:
    """Return the first value of ``tag`` as an integer, None when it is absent or no number."""
    try:
        return int(float(text_of(attributes, tag)))
    except (ValueError, OverflowError):
        return None

"""QIDO-RS: a query string in, the matching studies, series or instances out (PS3.18 section 10.6, PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from tumorseg.dicom.store.catalog import Catalog, StudyNode
from tumorseg.dicom.store.entries import Attributes
from tumorseg.dicom.store.tags import (
    COMPUTED_KEYWORDS,
    INSTANCE_TAGS,
    SERIES_TAGS,
    SERIES_UID,
    STUDY_TAGS,
    STUDY_UID,
    json_tag,
)
from tumorseg.errors import InputError

LEVELS = ("studies", "series", "instances")

_KNOWN = STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS | frozenset(map(json_tag, COMPUTED_KEYWORDS))
_WILDCARD_VRS = frozenset(["AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
_RANGE_VRS = frozenset({"DA", "TM", "DT"})
_RANGE_VALUE = re.compile(r"[0-9.:+]*(-[0-9.:+]*)?")
_ATTRIBUTE_PATH = re.compile(r"[0-9A-Za-z]+(\.[0-9A-Za-z]+)*")


class QueryError(InputError):
    """A query string that means nothing (HTTP 400)."""

    status = 400


@dataclass(frozen=True)
class Query:
    """A parsed query string.

    Attributes:
        filters: tag -> wanted value, as it was given.
        fields: tags that the answer should hold beside the usual ones; None means all.
        limit: at most so many results; None means all.
        offset: skip so many.
        fuzzy: person names match by the beginnings of their words.
        warnings: what was asked and is not supported, one sentence each.
    """

    filters: dict[str, str] = field(default_factory=dict)
    fields: frozenset[str] | None = frozenset()
    limit: int | None = None
    offset: int = 0
    fuzzy: bool = False
    warnings: tuple[str, ...] = ()


def parse_query(pairs: Iterable[tuple[str, str]]) -> Query:
    """Parse the pairs of a query string; raise QueryError (400) for what is no attribute or no number."""
    filters: dict[str, str] = {}
    fields: set[str] | None = set()
    numbers: dict[str, int] = {}
    fuzzy = False
    warnings: list[str] = []
    for key, value in pairs:
        if key in ("limit", "offset"):
            numbers[key] = _number(key, value)
        elif key == "fuzzymatching":
            fuzzy = _truth(value)
        elif key == "includefield":
            for name in filter(None, value.split(",")):
                if name == "all":
                    fields = None
                elif fields is not None:
                    fields.add(_tag(name) or "")
        else:
            _add_filter(filters, warnings, key, value)
    kept = None if fields is None else frozenset(fields - {""})
    return Query(filters, kept, numbers.get("limit"), numbers.get("offset", 0), fuzzy, tuple(warnings))


def _number(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise QueryError(f"expected {key}=<whole number from 0>, got {value[:40]!r}")
    return int(value)


def _truth(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise QueryError(f"expected fuzzymatching=true or false, got {value[:40]!r}")
    return value.lower() == "true"


def _tag(name: str) -> str | None:
    """Return the eight hex digits of a keyword or tag; None for one inside a sequence; QueryError for neither."""
    if "." in name and _ATTRIBUTE_PATH.fullmatch(name):
        return None
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return name.upper()
    tag = tag_for_keyword(name)
    if tag is None:
        raise QueryError(f"unknown attribute {name[:64]!r}; expected a DICOM keyword or eight hex digits")
    return f"{tag:08X}"


def _add_filter(filters: dict[str, str], warnings: list[str], key: str, value: str) -> None:
    tag = _tag(key)
    if tag is None or tag not in _KNOWN:
        warnings.append(f"matching on {keyword_for_tag(int(tag, 16)) or tag if tag else key} is not supported")
    elif value not in ("", "*"):  # both match everything
        if _vr(tag) in _RANGE_VRS and not _RANGE_VALUE.fullmatch(value):
            raise QueryError(f"expected {key} as a value or a range from-to, got {value[:40]!r}")
        filters[tag] = value


def _vr(tag: str) -> str:
    return dictionary_VR(int(tag, 16))


def search(
    catalog: Catalog, level: str, query: Query, study_uid: str | None = None, series_uid: str | None = None
) -> tuple[list[Attributes], int]:
    """Find ``level`` (one of LEVELS) below an optional study and series.

    Returns:
        The page of results in the DICOM JSON model, and how many more there are after it.
    """
    matcher = _Matcher(query)
    found = [_answer(levels, query.fields, study_uid, series_uid)
             for levels in _walk(catalog, level, study_uid, series_uid)
             if matcher.matches(levels)]  # fmt: skip
    end = len(found) if query.limit is None else query.offset + query.limit
    return found[query.offset : end], max(0, len(found) - end)


def _walk(
    catalog: Catalog, level: str, study_uid: str | None, series_uid: str | None
) -> Iterator[tuple[Attributes, ...]]:
    """Yield the attributes of every candidate, from its study down to its own level."""
    studies: Iterable[StudyNode] = catalog.values()
    if study_uid is not None:
        studies = [catalog[study_uid]] if study_uid in catalog else []
    for study in studies:
        if level == "studies":
            yield (study.attributes,)
            continue
        for series in study.series.values():
            if series_uid is not None and series.series_uid != series_uid:
                continue
            if level == "series":
                yield (study.attributes, series.attributes)
                continue
            for instance in series.instances.values():
                yield (study.attributes, series.attributes, instance.attributes)


def _answer(
    levels: tuple[Attributes, ...], fields: frozenset[str] | None, study_uid: str | None, series_uid: str | None
) -> Attributes:
    """Merge the levels that the address does not already fix, the unique keys, and the fields asked for."""
    fixed = (study_uid is not None, series_uid is not None)
    merged: Attributes = {}
    for depth, attributes in enumerate(levels):
        whole = depth == len(levels) - 1 or not fixed[depth] or fields is None
        wanted = None if whole else {STUDY_UID, SERIES_UID, *(fields or ())}
        merged.update({tag: element for tag, element in attributes.items() if wanted is None or tag in wanted})
    return dict(sorted(merged.items()))


class _Matcher:
    """The filters of one query, each compiled once."""

    def __init__(self, query: Query) -> None:
        self._tests = {tag: _compile(tag, value, query.fuzzy) for tag, value in query.filters.items()}

    def matches(self, levels: tuple[Attributes, ...]) -> bool:
        return all(self._matches_one(tag, levels) for tag in self._tests)

    def _matches_one(self, tag: str, levels: tuple[Attributes, ...]) -> bool:
        for attributes in levels:
            if tag in attributes:
                return any(self._tests[tag](text) for text in _texts(attributes[tag].get("Value") or []))
        return False


def _texts(values: list[Any]) -> Iterator[str]:
    """Yield every value as text; a person name yields each of its groups."""
    for value in values:
        if isinstance(value, dict):
            yield from (str(group) for group in value.values())
        elif value is not None:
            yield str(value)


def _compile(tag: str, wanted: str, fuzzy: bool) -> Any:
    """Return a function that tells whether one value matches ``wanted``."""
    vr = _vr(tag)
    if vr in _RANGE_VRS and "-" in wanted:
        low, _, high = wanted.partition("-")
        return lambda text: (not low or text >= low) and (not high or text[: len(high)] <= high)
    if vr == "PN":
        return _person_name(wanted, fuzzy)
    alternatives = [part for part in re.split(r"[\\,]", wanted) if part] if vr in ("UI", "CS") else [wanted]
    if vr in _WILDCARD_VRS and any(sign in wanted for sign in "*?"):
        patterns = [_wildcard(part) for part in alternatives]
        return lambda text: any(pattern.fullmatch(text) for pattern in patterns)
    if vr in ("IS", "US", "UL"):
        return lambda text: text == wanted.strip().lstrip("0") or text == wanted.strip()
    return lambda text: text in alternatives


def _wildcard(text: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(translate(text.replace("[", "[[]")), flags)


def _person_name(wanted: str, fuzzy: bool) -> Any:
    """Names match without regard to case; fuzzy ones when every wanted word begins a word of the name."""
    pattern = _wildcard(wanted, re.IGNORECASE)
    words = [word for word in re.split(r"[\s^=*?]+", wanted.lower()) if word]

    def matches(text: str) -> bool:
        if pattern.fullmatch(text):
            return True
        have = re.split(r"[\s^=]+", text.lower())
        return fuzzy and bool(words) and all(any(part.startswith(word) for part in have) for word in words)

    return matches

"""Studies, series and instances of a folder as one snapshot that is never changed after it is built."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tumorseg.dicom.store.entries import Attributes, SeriesEntry, StudyEntry, number_of, text_of
from tumorseg.dicom.store.index import FileState, Header
from tumorseg.dicom.store.tags import (
    INSTANCE_NUMBER,
    INSTANCE_TAGS,
    MODALITIES,
    MODALITY,
    SERIES_TAGS,
    SERIES_UID,
    SOP_UID,
    STUDY_TAGS,
    STUDY_UID,
    TRANSFER_SYNTAX,
    json_tag,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstanceNode:
    """One DICOM object; ``path`` is relative to the folder, ``state`` tells its file from another one there."""

    sop_uid: str
    series_uid: str
    path: str
    attributes: Attributes
    state: FileState


@dataclass
class SeriesNode:
    """One series with its instances by instance number."""

    series_uid: str
    attributes: Attributes
    instances: dict[str, InstanceNode] = field(default_factory=dict)


@dataclass
class StudyNode:
    """One study with its series by series number."""

    study_uid: str
    attributes: Attributes
    series: dict[str, SeriesNode] = field(default_factory=dict)


Catalog = dict[str, StudyNode]


def build(headers: Mapping[str, Header]) -> Catalog:
    """Group files into studies (newest first), series and instances. Of two files with one UID the first is kept."""
    catalog: Catalog = {}
    for path in sorted(headers):
        attributes = headers[path].attributes
        if attributes is not None:
            _add(catalog, path, attributes, headers[path].state)
    for study in catalog.values():
        for series in study.series.values():
            series.instances = dict(sorted(series.instances.items(), key=lambda item: _order(item[1].attributes)))
            _count(series.attributes, "NumberOfSeriesRelatedInstances", len(series.instances))
        study.series = dict(sorted(study.series.items(), key=lambda item: _series_order(item[1])))
        _summarise(study)
    newest = sorted(catalog.values(), key=lambda study: text_of(study.attributes, json_tag("StudyDate")), reverse=True)
    return {study.study_uid: study for study in newest}


def _add(catalog: Catalog, path: str, attributes: Attributes, state: FileState) -> None:
    study_uid, series_uid, sop_uid = (text_of(attributes, tag) for tag in (STUDY_UID, SERIES_UID, SOP_UID))
    study = catalog.setdefault(study_uid, StudyNode(study_uid, _select(attributes, STUDY_TAGS)))
    series = study.series.setdefault(series_uid, SeriesNode(series_uid, _select(attributes, SERIES_TAGS)))
    if sop_uid in series.instances:
        # Not by their names: people name files after patients.
        logger.warning("skipped a file: another one holds the same instance %s", sop_uid)
        return
    own = _select(attributes, INSTANCE_TAGS | {TRANSFER_SYNTAX})
    series.instances[sop_uid] = InstanceNode(sop_uid, series_uid, path, own, state)


def _select(attributes: Attributes, tags: frozenset[str]) -> Attributes:
    return {tag: element for tag, element in attributes.items() if tag in tags}


def _order(attributes: Attributes) -> tuple[int, str]:
    number = number_of(attributes, INSTANCE_NUMBER)
    return (number if number is not None else 1 << 31, text_of(attributes, SOP_UID))


def _series_order(series: SeriesNode) -> tuple[int, str]:
    number = number_of(series.attributes, json_tag("SeriesNumber"))
    return (number if number is not None else 1 << 31, series.series_uid)


def _count(attributes: Attributes, keyword: str, value: int) -> None:
    attributes[json_tag(keyword)] = {"vr": "IS", "Value": [value]}


def _summarise(study: StudyNode) -> None:
    """Add what is counted over a study: modalities, series, instances."""
    modalities = sorted({text_of(series.attributes, MODALITY) for series in study.series.values()} - {""})
    study.attributes[MODALITIES] = {"vr": "CS", "Value": list(modalities)} if modalities else {"vr": "CS"}
    _count(study.attributes, "NumberOfStudyRelatedSeries", len(study.series))
    _count(study.attributes, "NumberOfStudyRelatedInstances", sum(len(s.instances) for s in study.series.values()))


def study_entry(attributes: Attributes) -> StudyEntry:
    """Make the typed line of a study from its query attributes."""
    modalities: list[Any] = attributes.get(MODALITIES, {}).get("Value") or []
    return StudyEntry(
        study_uid=text_of(attributes, STUDY_UID),
        patient_id=text_of(attributes, json_tag("PatientID")),
        patient_name=text_of(attributes, json_tag("PatientName")),
        study_date=text_of(attributes, json_tag("StudyDate")),
        description=text_of(attributes, json_tag("StudyDescription")),
        modalities=tuple(map(str, modalities)),
        n_series=number_of(attributes, json_tag("NumberOfStudyRelatedSeries")) or 0,
        n_instances=number_of(attributes, json_tag("NumberOfStudyRelatedInstances")) or 0,
    )


def series_entry(study: Attributes, series: Attributes) -> SeriesEntry:
    """Make the typed line of a series from its study's and its own query attributes."""
    return SeriesEntry(
        study_uid=text_of(study, STUDY_UID),
        series_uid=text_of(series, SERIES_UID),
        modality=text_of(series, MODALITY),
        description=text_of(series, json_tag("SeriesDescription")),
        number=number_of(series, json_tag("SeriesNumber")),
        patient_id=text_of(study, json_tag("PatientID")),
        patient_name=text_of(study, json_tag("PatientName")),
        study_date=text_of(study, json_tag("StudyDate")),
        n_instances=number_of(series, json_tag("NumberOfSeriesRelatedInstances")) or 0,
    )

"""Images that are DICOM series: a folder of DICOM files or a DICOMweb server, through :mod:`tumorseg.dicom.store`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.adapters.files import fingerprint
from tumorseg.adapters.sources import ImageEntry
from tumorseg.errors import InputError
from tumorseg.io.disk_cache import DiskCache
from tumorseg.io.files import digest

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.dicom.store import DicomStore, SeriesEntry
    from tumorseg.geometry import Grid
    from tumorseg.types import StudyImage

#: Series of these modalities hold no picture that can be segmented (PS3.3 section C.7.3.1.1.1).
_NOT_IMAGES = frozenset({"SEG", "SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "FID", "RWV", "DOC", "AU"})
#: The sequence that is offered first where a study has it: tumours were outlined on it.
_PREFERRED = "flair"


#: Studies that are read at once, whoever asks. Parsing headers is Python's work: of many threads at it, all that
#: answer anything else would have to wait for their turn.
READ_AT_ONCE = 2


class DicomSource:
    """The series of a store. Their ids are SeriesInstanceUIDs; the other series of the study serve as channels."""

    is_dicom = True

    def __init__(self, store: DicomStore, cache: Path, cache_mb: int) -> None:
        self.store = store
        self._reading = threading.BoundedSemaphore(READ_AT_ONCE)
        #: What the store said of its series, and what follows of images.
        self._states: tuple[object, dict[str, str]] = (None, {})
        #: The series that were converted for viewers that want one file.
        self.images = DiskCache(cache / "images", cache_mb << 20)

    @classmethod
    def open(cls, config: AppConfig) -> DicomSource:
        """Open the configured folder or address; nothing is downloaded yet."""
        from tumorseg.dicom.store import open_store

        store = open_store(config.studies, config.cache, cache_mb=config.disk_cache_mb)
        return cls(store, config.cache, config.disk_cache_mb)

    def ids(self) -> list[str]:
        """List one series of each study: its FLAIR, else the one with most images."""
        studies: dict[str, list[SeriesEntry]] = {}
        for series in self.store.series():
            if series.modality not in _NOT_IMAGES:
                studies.setdefault(series.study_uid, []).append(series)
        return [max(found, key=_preference).series_uid for found in studies.values()]

    def entry(self, image_id: str) -> ImageEntry:
        """Look up one series; NotFoundError where the store has none of this UID."""
        series = self.store.find(image_id)
        info = {
            "name": f"{image_id}.nrrd",
            "StudyInstanceUID": series.study_uid,
            "SeriesInstanceUID": series.series_uid,
            "PatientID": series.patient_id,
            "Modality": series.modality,
            "SeriesDescription": series.description,
        }
        return ImageEntry(image_id, info["name"], info)

    def files(self, image_id: str) -> tuple[Path, ...]:
        """Return the files of all series of the study that are of the same modality, this one's first."""
        wanted = self.store.find(image_id)
        if wanted.modality in _NOT_IMAGES:
            raise InputError(f"series {image_id} is a {wanted.modality}: expected one with images")
        siblings = [
            series.series_uid
            for series in self.store.series(wanted.study_uid)
            if series.modality == wanted.modality and series.series_uid != image_id
        ]
        return tuple(Path(path) for uid in (image_id, *siblings) for path in self.store.files(uid))

    def read(self, image_id: str, channels: Sequence[str] | None) -> tuple[StudyImage, Grid]:
        """Read the study's wanted sequences, and the grid of the series ``image_id``; None reads that series alone."""
        from tumorseg.dicom.headers import read_headers
        from tumorseg.dicom.study import read_dicom, read_displayed

        # Fetched before: who waits for an archive keeps nobody else from reading.
        files = self.store.files(image_id) if channels is None else self.files(image_id)
        with self._reading:
            if channels is None:
                image = read_dicom(read_headers(files))
                return image, image.grid
            return read_displayed(read_headers(files), image_id, channels=channels)

    def states(self, image_ids: Sequence[str]) -> dict[str, str]:
        """Return the state of the image's study: of all series of its modality, which serve as channels."""
        states = self.store.states()
        if self._states[0] is not states:
            studies: dict[tuple[str, str], list[str]] = {}
            for series in self.store.series():
                studies.setdefault((series.study_uid, series.modality), []).append(series.series_uid)
            self._states = (
                states,
                {
                    uid: state
                    for uids in studies.values()
                    for state in [digest([(uid, states.get(uid)) for uid in sorted(uids)])]
                    for uid in uids
                },
            )
        known = self._states[1]
        return {image: known[image] for image in image_ids if image in known}

    def local_file(self, image_id: str) -> Path:
        """Return the series as one NRRD on the grid of its slices, written to the cache on the first call."""
        entry = self.entry(image_id)
        files = tuple(Path(path) for path in self.store.files(entry.id))
        state = digest(fingerprint(files))
        folder = self.images.filled(
            state,
            lambda draft: _write_nrrd(draft / entry.name, self.read(image_id, None)[0]),
            lambda there: (there / entry.name).is_file(),
        )
        return folder / entry.name

    def add(self, image_id: str, file: Path) -> ImageEntry:
        """Refuse: DICOM comes in by DICOM."""
        raise InputError("this server keeps DICOM: send new series by STOW-RS to /proxy/dicom/wado/studies")

    def check(self) -> None:
        """Ask the store whether it is there."""
        self.store.check()

    def telling_ids(self) -> Sequence[str]:
        """Return none: a UID is a number."""
        return ()

    def cached_bytes(self) -> dict[str, int]:
        """Return how many bytes the converted images take, and what was fetched from an archive."""
        fetched = getattr(self.store, "cache", None)
        return {"disk_images": self.images.size} | ({"disk_series": fetched.size} if fetched is not None else {})

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def _preference(series: SeriesEntry) -> tuple[bool, int]:
    """Order the series of a study by how likely the tumour was outlined on it."""
    return _PREFERRED in (series.description or "").lower(), series.n_instances


def _write_nrrd(path: Path, image: StudyImage) -> None:
    """Write the first channel, or the colours of a picture, as uncompressed NRRD in LPS."""
    import numpy as np
    import SimpleITK as sitk

    colour = not image.placed and len(image.voxels) > 1
    voxels = np.moveaxis(image.voxels, 0, -1) if colour else image.voxels[0]
    volume = sitk.GetImageFromArray(voxels, isVector=colour)
    volume.SetSpacing(image.grid.spacing)
    volume.SetDirection(image.grid.direction.ravel().tolist())
    volume.SetOrigin(image.grid.origin.tolist())
    sitk.WriteImage(volume, str(path))

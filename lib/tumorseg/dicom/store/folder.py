"""A folder of DICOM files as a store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tumorseg.dicom.store import catalog as catalogs
from tumorseg.dicom.store.catalog import Catalog, InstanceNode
from tumorseg.dicom.store.entries import Attributes, SeriesEntry, StudyEntry
from tumorseg.dicom.store.index import FileState, Header, Index, Progress, read_header, refresh
from tumorseg.dicom.store.query import Query, search
from tumorseg.errors import NotFoundError
from tumorseg.io.files import digest

logger = logging.getLogger(__name__)

# A listing looks at the folder again when the last look is older than this, and than so many times its duration.
_REFRESH_SECONDS = 5.0
_REFRESH_FACTOR = 20.0


class FolderStore:
    """DICOM files below a folder, indexed on opening. Every method may be called from any thread.

    Readers work on a snapshot that is replaced, never changed; refreshing and adding take a lock.
    """

    def __init__(self, root: Path, index: Path | None, *, progress: Progress | None = None) -> None:
        self.root = root.resolve()
        self.name = str(root)
        self._index = Index(index)
        self._lock = threading.Lock()
        self._headers: dict[str, Header] = self._index.load()
        self._catalog: Catalog | None = None
        self._states: tuple[Catalog | None, Mapping[str, str]] = (None, {})
        self._seen, self._took = 0.0, 0.0
        with self._lock:
            self._scan(progress)

    def studies(self) -> list[StudyEntry]:
        """List the studies, newest first."""
        self.refresh()
        return [catalogs.study_entry(study.attributes) for study in self.catalog().values()]

    def series(self, study_uid: str | None = None) -> list[SeriesEntry]:
        """List the series of one study, or of all; an unknown study raises NotFoundError."""
        self.refresh()
        catalog = self.catalog()
        if study_uid is not None and study_uid not in catalog:
            raise NotFoundError(f"no study {study_uid} in the studies folder")
        studies = catalog.values() if study_uid is None else [catalog[study_uid]]
        return [catalogs.series_entry(study.attributes, series.attributes)
                for study in studies for series in study.series.values()]  # fmt: skip

    def find(self, series_uid: str) -> SeriesEntry:
        """Return the series called ``series_uid``; raise NotFoundError when there is none."""
        for study in self.catalog().values():
            if series_uid in study.series:
                return catalogs.series_entry(study.attributes, study.series[series_uid].attributes)
        raise NotFoundError(f"no series {series_uid} in the studies folder")

    def files(self, series_uid: str) -> list[Path]:
        """Return the files of a series by instance number; raise NotFoundError for an unknown one."""
        study_uid = self.find(series_uid).study_uid
        return [self.root / instance.path for instance in self.instances(study_uid, series_uid)]

    def states(self) -> Mapping[str, str]:
        """Return series -> digest of path, size and time of change of its files."""
        self.refresh()
        catalog = self.catalog()
        if self._states[0] is not catalog:
            self._states = (
                catalog,
                {
                    uid: digest([(one.path, one.state) for one in series.instances.values()])
                    for study in catalog.values()
                    for uid, series in study.series.items()
                },
            )
        return self._states[1]

    def check(self) -> None:
        """Look whether the folder is there and can be listed."""
        from tumorseg.io.files import require_readable

        require_readable(self.root)

    def close(self) -> None:
        """Nothing stays open between calls."""

    # ---- what the embedded DICOMweb server asks beyond the contract -----------------------------------------------

    def search(
        self, level: str, query: Query, study_uid: str | None = None, series_uid: str | None = None
    ) -> tuple[list[Attributes], int]:
        """Find studies, series or instances, see :func:`tumorseg.dicom.store.query.search`."""
        self.refresh()
        return search(self.catalog(), level, query, study_uid, series_uid)

    def instances(
        self, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[InstanceNode]:
        """Return the instances of a study, of a series, or the one instance; NotFoundError when there is none."""
        study = self.catalog().get(study_uid)
        if study is None:
            raise NotFoundError(f"no study {study_uid} in the studies folder")
        if series_uid is not None and series_uid not in study.series:
            raise NotFoundError(f"no series {series_uid} in study {study_uid}")
        chosen = study.series.values() if series_uid is None else [study.series[series_uid]]
        found = [instance for series in chosen for instance in series.instances.values()
                 if sop_uid is None or instance.sop_uid == sop_uid]  # fmt: skip
        if not found:
            raise NotFoundError(f"no instance {sop_uid} in study {study_uid}")
        return found

    def catalog(self) -> Catalog:
        """Return the current snapshot."""
        catalog = self._catalog
        if catalog is None:
            with self._lock:
                catalog = self._catalog = self._catalog or catalogs.build(self._headers)
        return catalog

    def refresh(self, *, force: bool = False) -> None:
        """Notice added, removed and changed files; a look at the folder that is recent enough is not repeated."""
        due = self._seen + max(_REFRESH_SECONDS, _REFRESH_FACTOR * self._took)
        if not force and time.monotonic() < due:
            return
        if self._lock.acquire(blocking=force):  # whoever comes during a scan is served the last snapshot
            try:
                self._scan(None)
            finally:
                self._lock.release()

    def add(self, path: Path) -> None:
        """Index one file that was just written below the folder."""
        status = path.stat()
        state = FileState(status.st_size, status.st_mtime_ns)
        relative = path.relative_to(self.root).as_posix()
        header = read_header(path, state)
        with self._lock:
            self._index.save({relative: header})
            self._headers = {**self._headers, relative: header}
            self._catalog = None

    def _scan(self, progress: Progress | None) -> None:
        start = time.monotonic()
        headers = refresh(self.root, self._index, self._headers, progress)
        if headers != self._headers or self._catalog is None:
            self._headers = headers
            self._catalog = catalogs.build(headers)
        self._seen = time.monotonic()
        self._took = self._seen - start

"""A DICOMweb archive as a store: looked through by QIDO, fetched whole by WADO into a local cache."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tumorseg.dicom.store import catalog as catalogs
from tumorseg.dicom.store.entries import Attributes, SeriesEntry, StudyEntry, number_of, require_uid, text_of
from tumorseg.dicom.store.tags import INSTANCE_NUMBER, SOP_UID
from tumorseg.errors import NotFoundError, UnavailableError
from tumorseg.io.disk_cache import DiskCache

if TYPE_CHECKING:
    import requests
    from dicomweb_client import DICOMwebClient

logger = logging.getLogger(__name__)

#: Environment variables that hold what must not stand in a command line. The first two are MONAI Label's.
USER_VARIABLE, PASSWORD_VARIABLE = "MONAI_LABEL_DICOMWEB_USERNAME", "MONAI_LABEL_DICOMWEB_PASSWORD"
TOKEN_VARIABLE = "TUMORSEG_DICOMWEB_TOKEN"

CONNECT_SECONDS, READ_SECONDS = 10.0, 300.0
_PAGE = 500
_LISTING_SECONDS = 30.0


@dataclass(frozen=True)
class Credentials:
    """What the archive asks of us. Never printed."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Credentials:
        """Take them from the address when it has any, else from the environment."""
        parts = urlsplit(url)
        if parts.username:
            return cls(unquote(parts.username), unquote(parts.password or ""))
        environment = os.environ
        return cls(
            environment.get(USER_VARIABLE, ""),
            environment.get(PASSWORD_VARIABLE, ""),
            environment.get(TOKEN_VARIABLE, ""),
        )

    def session(self) -> requests.Session:
        """Make an HTTP session that carries them, with limits on how long an answer may take."""
        import requests
        from requests.adapters import HTTPAdapter

        class _Direct(requests.Session):
            def get_redirect_target(self, resp: requests.Response) -> None:
                """Follow nowhere: a redirect would take the credentials along."""

        class _Limited(HTTPAdapter):
            def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
                if kwargs.get("timeout") is None:
                    kwargs["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
                return super().send(request, *args, **kwargs)

        session = _Direct()
        session.trust_env = False  # a .netrc must not add credentials, nor a proxy variable send patients elsewhere
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Limited(pool_maxsize=32))
        if self.user:
            session.auth = (self.user, self.password)
        elif self.token:
            session.headers["Authorization"] = f"Bearer {self.token}"
        return session


def without_credentials(url: str) -> str:
    """Return ``url`` without user, password, query, fragment and trailing slash."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


class RemoteStore:
    """Studies behind DICOMweb. Every method may be called from any thread."""

    def __init__(self, url: str, credentials: Credentials, cache: Path, cache_mb: int) -> None:
        """Talk to ``url`` (without credentials in it); nothing is asked before the first call."""
        self.name = url
        self._credentials = credentials
        folder = cache / "dicomweb" / hashlib.sha256(url.encode()).hexdigest()[:24]
        #: The series that were fetched.
        self.cache = DiskCache(folder, cache_mb << 20)
        self._threads = threading.local()
        self._listing = threading.Lock()
        self._listed: tuple[list[SeriesEntry], float | None] = ([], None)
        self._states: tuple[float | None, Mapping[str, str]] = (None, {})

    @classmethod
    def open(cls, url: str, cache: Path, cache_mb: int) -> RemoteStore:
        """Split the credentials off ``url`` and open it."""
        return cls(without_credentials(url), Credentials.of(url), cache, cache_mb)

    @property
    def session(self) -> requests.Session:
        """The calling thread's HTTP session (a session of ``requests`` is not made for several threads)."""
        if not hasattr(self._threads, "session"):
            self._threads.session = self._credentials.session()
        session: requests.Session = self._threads.session
        return session

    @property
    def client(self) -> DICOMwebClient:
        """The calling thread's ``dicomweb_client`` client."""
        if not hasattr(self._threads, "client"):
            from dicomweb_client import DICOMwebClient

            self._threads.client = DICOMwebClient(self.name, session=self.session)
            # A PACS that is down is said at once; the client would retry for minutes.
            self._threads.client.set_http_retry_params(retry=False)
        client: DICOMwebClient = self._threads.client
        return client

    def studies(self) -> list[StudyEntry]:
        """List the studies."""
        found = self._search("search_for_studies", fields=["ModalitiesInStudy", "StudyDescription"])
        return [catalogs.study_entry(attributes) for attributes in found]

    def series(self, study_uid: str | None = None) -> list[SeriesEntry]:
        """List the series of one study, or of all (as of half a minute ago); an unknown study raises NotFoundError."""
        if study_uid is None:
            return self._all_series()
        require_uid(study_uid, "StudyInstanceUID")
        found = self._search("search_for_series", study_uid, fields=_SERIES_FIELDS)
        if not found:
            raise NotFoundError(f"no study {study_uid} at {self.name}")
        return [catalogs.series_entry(attributes, attributes) for attributes in found]

    def _all_series(self) -> list[SeriesEntry]:
        """List every series; viewers ask for counts each time they connect, and an archive may hold very many."""
        with self._listing:
            listed, when = self._listed
            if when is None or time.monotonic() - when > _LISTING_SECONDS:
                found = self._search("search_for_series", fields=_SERIES_FIELDS)
                listed = [catalogs.series_entry(attributes, attributes) for attributes in found]
                self._listed = listed, time.monotonic()
        return list(listed)

    def find(self, series_uid: str) -> SeriesEntry:
        """Return the series called ``series_uid``; raise NotFoundError when there is none."""
        require_uid(series_uid, "SeriesInstanceUID")
        found = self._search(
            "search_for_series", fields=_SERIES_FIELDS, search_filters={"SeriesInstanceUID": series_uid}
        )
        if not found:
            raise NotFoundError(f"no series {series_uid} at {self.name}")
        return catalogs.series_entry(found[0], found[0])

    def files(self, series_uid: str) -> list[Path]:
        """Return local copies of a whole series by instance number, fetching it when it is new or has changed.

        Raises:
            NotFoundError: the archive has no such series.
            UnavailableError: the archive does not answer, or sent less than it lists.
        """
        series = self.find(series_uid)
        listed = self._search("search_for_instances", series.study_uid, series_uid, fields=["InstanceNumber"])
        names = {text_of(instance, SOP_UID): number_of(instance, INSTANCE_NUMBER) or 0 for instance in listed}
        for uid in names:
            require_uid(uid, "SOPInstanceUID")
        folder = self.cache.filled(
            series_uid,
            lambda draft: self._fetch(series, set(names), draft),
            lambda there: {file.stem for file in there.glob("*.dcm")} == set(names),
        )
        return [folder / f"{uid}.dcm" for uid in sorted(names, key=lambda uid: (names[uid], uid))]

    def states(self) -> Mapping[str, str]:
        """Return series -> how many instances the archive lists.

        One instance is never changed: what differs is another instance (PS3.3 section C.12.1).
        """
        self._all_series()
        with self._listing:
            listed, when = self._listed
            if self._states[0] != when:
                self._states = when, {series.series_uid: str(series.n_instances) for series in listed}
            return self._states[1]

    def check(self) -> None:
        """Ask the archive for one study."""
        list(self._ask("search_for_studies", limit=1))

    def close(self) -> None:
        """Close the calling thread's connections; the others end with their threads."""
        if hasattr(self._threads, "session"):
            self._threads.session.close()

    def _fetch(self, series: SeriesEntry, expected: set[str], draft: Path) -> None:
        """Download into a draft, which counts only when every listed instance came."""
        for dataset in self._ask("iter_series", series.study_uid, series.series_uid):
            uid = str(dataset.SOPInstanceUID)
            if uid in expected:  # others came in meanwhile; the next call sees them
                dataset.save_as(draft / f"{uid}.dcm", enforce_file_format=True)
        missing = expected - {file.stem for file in draft.iterdir()}
        if missing:
            raise UnavailableError(
                f"{self.name} sent {len(expected) - len(missing)} of {len(expected)} instances of series "
                f"{series.series_uid}; try again"
            )

    def _search(self, method: str, *uids: str, **arguments: Any) -> list[Attributes]:
        """Call a search of the client page by page."""
        found: list[Attributes] = []
        while True:
            page = list(self._ask(method, *uids, limit=_PAGE, offset=len(found), **arguments))
            if found and page and page[0] == found[0]:  # an archive that ignores offset sends the same page again
                return found
            found += page
            if len(page) < _PAGE:
                return found

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Yield what the client answers; its errors become ours, without the address's credentials."""
        import requests

        try:
            yield from getattr(self.client, method)(*arguments, **options)
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "no status"
            if status == 404:
                raise NotFoundError(f"{self.name} does not have what was asked for") from None
            raise UnavailableError(f"{self.name} answered {status}: check the address and the credentials") from None
        except requests.RequestException as error:
            raise UnavailableError(f"{self.name} cannot be reached ({type(error).__name__}): is it running?") from None
        except (ValueError, KeyError, AttributeError) as error:
            raise UnavailableError(f"{self.name} does not answer as a DICOMweb server ({error})") from None


_SERIES_FIELDS = [
    "SeriesDescription",
    "PatientID",
    "PatientName",
    "StudyDate",
    "StudyInstanceUID",
    "NumberOfSeriesRelatedInstances",
]

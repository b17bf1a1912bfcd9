"""Names that would lead somewhere if anything took them for a path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.abuse.place import Site, dicom_site, file_site, routes_of

HOSTILE = [
    "../secret", "../../../../../../etc/passwd", "..", "/etc/passwd", "..\\secret", "%2e%2e%2fsecret", "..%252fsecret",
    "secret.txt\x00.nii.gz", "a" * 5000, "; touch evil", "' OR 1=1 --", "\u202e\ud7ff🧠", "case\r\nX-Evil: 1",
    ".incoming", "file:///etc/passwd",
]  # fmt: skip
SITES = {"files": file_site, "dicom": dicom_site}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened: AbstractContextManager[Site] = SITES[request.param](tmp_path_factory.mktemp("names"))
    with opened as site:
        yield site


def _ask(site: Site, method: str, path: str, **kw: Any) -> Any:
    answer = site.client.request(method, path, follow_redirects=False, **kw)
    assert answer.status_code < 500 or answer.status_code == 503, (method, path, answer.text[:300])
    assert site.secret not in answer.text, (method, path)
    assert "root:x:0" not in answer.text, (method, path)
    assert str(site.root) not in answer.text, (method, path, answer.text[:300])
    assert "x-evil" not in answer.headers
    return answer


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(name[:30]) for name in HOSTILE])
def test_in_every_part_of_every_address(name: str, site: Site) -> None:
    before = site.written()
    for method, path in routes_of(site.client):
        parts = [part for part in path.split("/") if part.startswith("{")]
        for part in parts:
            filled = path
            for other in parts:
                filled = filled.replace(other, quote(name, safe="") if other == part else "1.2.3")
            _ask(site, method, filled)
            if "\x00" not in name and "\r" not in name:
                _ask(site, method, filled.replace(quote(name, safe=""), quote(name, safe="/.:\\")))
    assert site.written() == before


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(name[:30]) for name in HOSTILE])
def test_in_every_name_that_is_asked_for(name: str, site: Site) -> None:
    before = site.written()
    data = (site.root / "secret.txt").read_bytes()
    for path in ("/datastore/image", "/datastore/image/info", "/datastore/label", "/datastore/label/info"):
        for tag in ("final", name):
            for image in ("case", name):
                asked = {"image": image, "label": image, "id": image, "tag": tag}
                for method in ("GET", "HEAD", "DELETE"):
                    _ask(site, method, path, params=asked)
                _ask(site, "PUT", path, params=asked, files={"label": (name, data), "file": (name, data)})
                _ask(site, "PUT", path, params=asked, data={"info": "{}"}) if name == image else None
    for asked in ({"image": name}, {"session_id": name}, {"image": "case", "output": name}, {"model_filename": name}):
        answer = _ask(site, "POST", "/infer/threshold", params=asked)
        assert answer.status_code in (404, 422)
    assert site.written() == before


@pytest.mark.parametrize(
    "path", ["studies/{}", "studies/1.2/series/{}", "studies/1.2/series/3/instances/{}/frames/1", "{}"]
)
def test_below_the_dicomweb_proxy(path: str, tmp_path: Path) -> None:
    with dicom_site(tmp_path) as site:
        before = site.written()
        for name in HOSTILE:
            for prefix in ("/proxy/dicom/wado/", "/proxy/dicom/stow/", "/proxy/dsa/"):
                answer = _ask(site, "GET", prefix + path.format(quote(name, safe="")))
                # A client itself takes ".." out of an address: what is then asked for is another one.
                assert answer.status_code in (400, 403, 404, 405, 422) or name == "..", (prefix, path, name)
        assert site.written() == before

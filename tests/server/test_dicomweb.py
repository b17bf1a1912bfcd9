"""The DICOMweb addresses: asked as OHIF asks them, by DICOMwebClient, and as nobody should."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import JPEGLSLossless
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_enhanced_mr
from tests.orthanc import orthanc
from tests.serving import config_for
from tumorseg.server.app import create_app
from tumorseg.server.multipart import read as read_multipart

GRID = GRIDS["anisotropic"]
VOXELS = sample(GRID)
STUDY, PLAIN, PRESSED, ENHANCED = "1.2.826.1", "1.2.826.1.1", "1.2.826.1.2", "1.2.826.1.3"
OTHER = "1.2.826.2"
WADO, QIDO = "/proxy/dicom/wado", "/proxy/dicom/qido"
ANY_SYNTAX = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
NAME, DATE = "00100010", "00080020"


def serve(studies: str | Path, tmp_path: Path, **conf: Any) -> TestClient:
    return TestClient(create_app(config_for(studies, tmp_path, **conf)), raise_server_exceptions=False)


def write(root: Path) -> None:
    common = {"StudyInstanceUID": STUDY, "PatientName": "Doe^Jane", "StudyDescription": "Head", "AccessionNumber": "A7"}
    write_dicom_series(root / "a", GRID, VOXELS[:4], SeriesInstanceUID=PLAIN, SeriesDescription="T1", **common)
    pressed = {"SeriesInstanceUID": PRESSED, "TransferSyntaxUID": JPEGLSLossless, "SeriesNumber": "2", **common}
    write_dicom_series(root / "b", GRID, VOXELS[:3], **pressed)
    write_enhanced_mr(root / "c.dcm", GRID, VOXELS, SeriesInstanceUID=ENHANCED, SeriesNumber="3", **common)
    other = {"StudyInstanceUID": OTHER, "PatientName": "Roe^Richard", "StudyDate": "20230405", "Modality": "CT"}
    write_dicom_series(root / "d", GRID, VOXELS[:1], SeriesInstanceUID="1.2.826.2.1", PatientID="R1", **other)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("studies")
    write(root)
    return root


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return serve(root, tmp_path_factory.mktemp("scratch"))


def values(found: list[dict[str, Any]], tag: str) -> list[Any]:
    return [entry.get(tag, {}).get("Value", [None])[0] for entry in found]


def studies(client: TestClient, query: str) -> list[str]:
    answer = client.get(f"{QIDO}/studies?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    return values(answer.json(), "0020000D")


def parts(answer: Any) -> list[tuple[str, bytes]]:
    """Split a multipart answer into (content type, body)."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    found = []
    for piece in answer.content.split(b"--" + boundary)[1:-1]:
        head, _, body = piece.partition(b"\r\n\r\n")
        found.append((head.decode().split(":", 1)[1].strip(), body.removesuffix(b"\r\n")))
    return found


# ---- QIDO-RS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060", [STUDY, OTHER]),
        ("limit=1", [STUDY]),
        ("limit=1&offset=1", [OTHER]),
        ("offset=2", []),
        ("PatientName=*jane*", [STUDY]),
        ("PatientName=doe^j%3Fne", [STUDY]),
        ("PatientName=Jane", []),
        ("PatientName=jan&fuzzymatching=true", [STUDY]),
        ("PatientName=ich*&fuzzymatching=true", []),
        ("00100020=*R1*", [OTHER]),
        ("PatientID=R1", [OTHER]),
        ("AccessionNumber=*A7*", [STUDY]),
        ("StudyDescription=*ea*", [STUDY]),
        ("StudyDate=20230101-20231231", [OTHER]),
        ("StudyDate=-20230405", [OTHER]),
        ("StudyDate=20240101-", [STUDY]),
        ("StudyDate=20240102", [STUDY]),
        ("ModalitiesInStudy=CT", [OTHER]),
        ("ModalitiesInStudy=MR%5CCT", [STUDY, OTHER]),
        (f"StudyInstanceUID={OTHER}", [OTHER]),
        (f"StudyInstanceUID={OTHER},{STUDY}", [STUDY, OTHER]),
        (f"StudyInstanceUID={OTHER}%5C{STUDY}", [STUDY, OTHER]),
        ("PatientName=", [STUDY, OTHER]),
        ("PatientName=*[J]*", []),
        ("PatientName=100%25&limit=5", []),
    ],
)
def test_studies_are_found_by_what_ohif_asks(client: TestClient, query: str, expected: list[str]) -> None:
    assert studies(client, query) == expected


def test_a_study_line_has_what_ohif_shows(client: TestClient) -> None:
    (line,) = client.get(f"{QIDO}/studies", params={"StudyInstanceUID": STUDY}).json()
    shown = {tag: line[tag]["Value"] for tag in ("00081030", "00080061", "00201206", "00201208", DATE, "00080050")}
    assert shown == {"00081030": ["Head"], "00080061": ["MR"], "00201206": [3], "00201208": [8], DATE: ["20240102"],
                     "00080050": ["A7"]}  # fmt: skip
    assert line[NAME]["Value"] == [{"Alphabetic": "Doe^Jane"}]


def test_series_and_instances_are_found(client: TestClient) -> None:
    series = client.get(f"{QIDO}/studies/{STUDY}/series?includefield=0008103E,00080021").json()
    assert values(series, "0020000E") == [PLAIN, PRESSED, ENHANCED]
    assert values(series, "00201209") == [4, 3, 1]
    assert NAME not in series[0]
    assert values(client.get(f"{QIDO}/studies/{STUDY}/series?includefield=PatientName").json(), NAME)[0]
    assert values(client.get(f"{QIDO}/series?Modality=CT").json(), "0020000D") == [OTHER]
    found = client.get(f"{QIDO}/studies/{STUDY}/series/{PLAIN}/instances").json()
    assert values(found, "00200013") == [1, 2, 3, 4]
    assert len(client.get(f"{QIDO}/studies/{STUDY}/instances").json()) == 8
    assert len(client.get(f"{QIDO}/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.4.1").json()) == 1


def test_more_results_and_unsupported_filters_are_said(client: TestClient) -> None:
    assert "1 additional" in client.get(f"{QIDO}/studies?limit=1").headers["warning"]
    answer = client.get(f"{QIDO}/studies?EthnicGroup=x")
    assert "EthnicGroup" in answer.headers["warning"]
    assert len(answer.json()) == 2


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "offset=1.5", "limit=%D9%A3", "Nonsense=1", "includefield=Nonsense", "StudyDate=today",
     "fuzzymatching=maybe", "limit="],
)  # fmt: skip
def test_a_bad_query_is_400(client: TestClient, query: str) -> None:
    answer = client.get(f"{QIDO}/studies?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"]


# ---- WADO-RS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [WADO, QIDO])
def test_metadata_is_the_header_with_pixels_by_address(client: TestClient, root: Path, prefix: str) -> None:
    answer = client.get(f"{prefix}/studies/{STUDY}/series/{PLAIN}/metadata")
    assert answer.headers["content-type"] == "application/dicom+json"
    found = answer.json()
    assert len(found) == 4
    uid = found[0]["00080018"]["Value"][0]
    address = f"{prefix}/studies/{STUDY}/series/{PLAIN}/instances/{uid}"
    assert found[0]["7FE00010"]["BulkDataURI"] == f"{address}/frames"
    header = pydicom.Dataset.from_json(json.dumps({k: v for k, v in found[0].items() if k != "7FE00010"}))
    original = next(ds for ds in map(pydicom.dcmread, (root / "a").iterdir()) if ds.SOPInstanceUID == uid)
    for element in original:
        if element.keyword != "PixelData":
            assert header[element.tag].value == element.value
    assert len(client.get(f"{prefix}/studies/{STUDY}/metadata").json()) == 8
    assert len(client.get(f"{address}/metadata").json()) == 1


def test_large_values_go_by_address_and_small_ones_inside(tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path / "s", GRID, VOXELS[:1], StudyInstanceUID=STUDY, SeriesInstanceUID=PLAIN)
    dataset = pydicom.dcmread(paths[0])
    large, small = bytes(range(256)) * 9, b"small!"
    for block, content in ((dataset, large), (item := pydicom.Dataset(), large[::-1])):
        private = block.private_block(0x0099, "tumorseg test", create=True)
        private.add_new(1, "OB", content)
        private.add_new(2, "OB", small)
    dataset.ReferencedImageSequence = [pydicom.Dataset(), item]
    dataset.save_as(paths[0])
    client = serve(tmp_path / "s", tmp_path)
    (found,) = client.get(f"{WADO}/studies/{STUDY}/metadata").json()
    assert "InlineBinary" in found["00991002"]
    nested = found["00081140"]["Value"][1]["00991001"]["BulkDataURI"]
    for address, content in ((found["00991001"]["BulkDataURI"], large), (nested, large[::-1])):
        assert parts(client.get(address)) == [("application/octet-stream", content)]
    assert client.get(found["00991001"]["BulkDataURI"] + "9").status_code == 404


def test_frames_are_the_pixels(client: TestClient) -> None:
    (found,) = client.get(f"{WADO}/studies/{STUDY}/series/{ENHANCED}/metadata").json()
    address = found["7FE00010"]["BulkDataURI"]
    order = [*range(0, len(VOXELS), 2), *range(1, len(VOXELS), 2)]
    answer = client.get(f"{address}/3,1", headers=ANY_SYNTAX)
    kind = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert parts(answer) == [(kind, VOXELS[order[2]].tobytes()), (kind, VOXELS[order[0]].tobytes())]
    assert 'type="application/octet-stream"' in answer.headers["content-type"]
    assert len(parts(client.get(address, headers=ANY_SYNTAX))) == len(VOXELS)


def test_compressed_frames_are_sent_as_stored_or_decoded(client: TestClient, root: Path) -> None:
    for entry in client.get(f"{WADO}/studies/{STUDY}/series/{PRESSED}/metadata").json():
        address = entry["7FE00010"]["BulkDataURI"] + "/1"
        uid = entry["00080018"]["Value"][0]
        wanted = next(ds for ds in map(pydicom.dcmread, (root / "b").iterdir()) if ds.SOPInstanceUID == uid).pixel_array
        ((kind, stored),) = parts(client.get(address, headers=ANY_SYNTAX))
        assert kind == f"image/jls; transfer-syntax={JPEGLSLossless}"
        np.testing.assert_array_equal(imagecodecs.jpegls_decode(stored).astype(np.int16), wanted)
        ((kind, native),) = parts(client.get(address))
        assert kind == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        np.testing.assert_array_equal(np.frombuffer(native, "<i2").reshape(wanted.shape), wanted)
    only = {"Accept": 'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90'}
    assert client.get(address, headers=only).status_code == 406


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
                                    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])  # fmt: skip
def test_every_transfer_syntax_decodes_to_the_same_pixels(syntax: str, tmp_path: Path) -> None:
    attrs = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": PLAIN, "TransferSyntaxUID": syntax}
    write_enhanced_mr(tmp_path / "s" / "x.dcm", GRID, VOXELS, range(len(VOXELS)), **attrs)
    client = serve(tmp_path / "s", tmp_path)
    (found,) = client.get(f"{WADO}/studies/{STUDY}/metadata").json()
    frames = parts(client.get(found["7FE00010"]["BulkDataURI"]))
    np.testing.assert_array_equal(np.frombuffer(b"".join(body for _, body in frames), "<i2"), VOXELS.ravel())


def test_whole_files_come_back_byte_for_byte(client: TestClient, root: Path) -> None:
    found = parts(client.get(f"{WADO}/studies/{STUDY}/series/{PRESSED}"))
    assert {body for _, body in found} == {path.read_bytes() for path in (root / "b").iterdir()}
    assert found[0][0] == f"application/dicom; transfer-syntax={JPEGLSLossless}"
    assert len(parts(client.get(f"{WADO}/studies/{STUDY}"))) == 8
    wrong = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90'}
    assert client.get(f"{WADO}/studies/{STUDY}", headers=wrong).status_code == 406


def test_pictures(client: TestClient) -> None:
    (found,) = client.get(f"{WADO}/studies/{STUDY}/series/{ENHANCED}/metadata").json()
    instance = found["7FE00010"]["BulkDataURI"].removesuffix("/frames")
    answer = client.get(f"{instance}/frames/1/rendered?window=500,1000", headers={"Accept": "image/png"})
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    shown = np.clip(VOXELS[0] / 999, 0, 1) * 255
    assert np.abs(picture - shown).max() <= 1
    jpeg = client.get(f"{WADO}/studies/{STUDY}/series/{PLAIN}/thumbnail")
    assert (jpeg.headers["content-type"], max(Image.open(io.BytesIO(jpeg.content)).size)) == ("image/jpeg", 48)
    small = client.get(f"{instance}/rendered?viewport=12,12")
    assert max(Image.open(io.BytesIO(small.content)).size) == 12
    assert client.get(f"{instance}/rendered", headers={"Accept": "video/mp4"}).status_code == 406
    assert client.get(f"{instance}/rendered?window=x").status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("studies/1.9/metadata", 404),
        (f"studies/{STUDY}/series/1.9", 404),
        (f"studies/{STUDY}/series/{PLAIN}/instances/1.9/frames/1", 404),
        ("studies/abc/metadata", 400),
        ("studies/..%2F..%2Fetc/metadata", 404),
        (f"studies/{'1' * 65}/metadata", 400),
        ("studies/1..2/metadata", 400),
    ],
)
def test_unknown_and_malformed_addresses(client: TestClient, path: str, status: int) -> None:
    answer = client.get(f"{WADO}/{path}")
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_frame_numbers_are_checked(client: TestClient) -> None:
    (found,) = client.get(f"{WADO}/studies/{STUDY}/series/{ENHANCED}/metadata").json()
    address = found["7FE00010"]["BulkDataURI"]
    for numbers, status in ((f"{len(VOXELS) + 1}", 404), ("0", 400), ("1,x", 400), ("1,999", 404)):
        assert client.get(f"{address}/{numbers}").status_code == status


def test_a_file_cut_off_after_indexing_is_an_error_and_no_wrong_picture(tmp_path: Path) -> None:
    paths = write_dicom_series(tmp_path / "s", GRID, VOXELS[:1], StudyInstanceUID=STUDY, SeriesInstanceUID=PLAIN)
    client = serve(tmp_path / "s", tmp_path)
    (found,) = client.get(f"{WADO}/studies/{STUDY}/metadata").json()
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    answer = client.get(found["7FE00010"]["BulkDataURI"] + "/1")
    assert answer.status_code == 422
    assert "cut off" in answer.json()["detail"]


# ---- STOW-RS ----------------------------------------------------------------------------------------------------


def stow(client: TestClient, *files: bytes, study: str = "", kind: str = "application/dicom") -> Any:
    """Send files as OHIF's dicomweb-client does."""
    body = b"".join(b"\r\n--XX\r\nContent-Type: application/dicom\r\n\r\n" + file for file in files) + b"\r\n--XX--"
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=XX'}
    return client.post(f"{WADO}/studies{study}", content=body.removeprefix(b"\r\n"), headers=headers)


def reasons(answer: Any) -> list[int]:
    return [entry["00081197"]["Value"][0] for entry in answer.json()["00081198"]["Value"]]


def seed(root: Path) -> None:
    """Write the one file that makes a folder a folder of DICOM."""
    attrs = {"StudyInstanceUID": OTHER, "SeriesInstanceUID": "1.2.826.2.1", "PatientID": "OLD"}
    write_dicom_series(root / "old", GRID, VOXELS[:1], **attrs)


@pytest.fixture
def sent(tmp_path: Path) -> list[bytes]:
    attrs = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "PatientID": "NEW"}
    return [path.read_bytes() for path in write_dicom_series(tmp_path / "new", GRID, VOXELS[:3], **attrs)]


def test_files_are_stored_by_their_uids_and_shown_at_once(tmp_path: Path, sent: list[bytes]) -> None:
    seed(tmp_path / "s")
    client = serve(tmp_path / "s", tmp_path)
    assert values(client.get(f"{QIDO}/studies").json(), "00100020") == ["OLD"]
    answer = stow(client, *sent)
    assert answer.status_code == 200
    assert len(answer.json()["00081199"]["Value"]) == 3
    uids = {str(pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID) for file in sent}
    assert {path.name for path in (tmp_path / "s" / "1.2.3" / "1.2.3.4").iterdir()} == {f"{uid}.dcm" for uid in uids}
    assert studies(client, "PatientID=NEW") == ["1.2.3"]
    assert {body for _, body in parts(client.get(f"{WADO}/studies/1.2.3"))} == set(sent)
    assert stow(client, *sent).status_code == 200  # again: the same content is no conflict


def test_other_content_under_a_known_uid_is_refused(tmp_path: Path, sent: list[bytes]) -> None:
    seed(tmp_path / "s")
    client = serve(tmp_path / "s", tmp_path)
    stow(client, sent[0])
    forged = sent[0].replace(b"Phantom^Asymmetric", b"Other^Name12345678")
    assert forged != sent[0]
    answer = stow(client, forged)
    assert (answer.status_code, reasons(answer)) == (409, [0x0111])
    assert {body for _, body in parts(client.get(f"{WADO}/studies/1.2.3"))} == {sent[0]}
    mixed = stow(client, forged, sent[1])
    assert (mixed.status_code, reasons(mixed), len(mixed.json()["00081199"]["Value"])) == (202, [0x0111], 1)


def test_what_is_no_dicom_is_not_stored(tmp_path: Path, sent: list[bytes]) -> None:
    seed(tmp_path / "s")
    client = serve(tmp_path / "s", tmp_path)
    evil = pydicom.dcmread(io.BytesIO(sent[0]))
    with pytest.warns(UserWarning, match="Invalid value"):
        evil.StudyInstanceUID = "../../../evil"
    buffer = io.BytesIO()
    evil.save_as(buffer)
    for bad in (b"hello", b"", sent[0][:700], sent[0][:-500], buffer.getvalue()):
        answer = stow(client, bad)
        assert (answer.status_code, reasons(answer)) == (409, [0xC000])
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["old"]
    assert not list(tmp_path.rglob("*evil*"))


def test_bad_stow_messages(tmp_path: Path, sent: list[bytes]) -> None:
    seed(tmp_path / "s")
    client = serve(tmp_path / "s", tmp_path, max_upload_mb=1)
    assert stow(client, sent[0], kind="application/dicom+json").status_code == 415
    assert client.post(f"{WADO}/studies", json={}).status_code == 415
    headers = {"Content-Type": 'multipart/related; type="application/dicom"'}
    assert client.post(f"{WADO}/studies", content=b"x", headers=headers).status_code == 400
    headers["Content-Type"] += "; boundary=XX"
    for body in (b"", b"nothing", b"--XX\r\n\r\nabc", b"--XX--"):
        assert client.post(f"{WADO}/studies", content=body, headers=headers).status_code == 400
    assert client.post(f"{WADO}/studies", content=b"x" * (1 << 20) + b"x", headers=headers).status_code == 413
    assert reasons(stow(client, sent[0], study="/1.2.9")) == [0xA900]
    assert stow(client, sent[0], study="/1.2.3").status_code == 200
    assert stow(client, sent[0], study="/abc").status_code == 400


def test_a_read_only_folder_says_so(tmp_path: Path, sent: list[bytes]) -> None:
    seed(tmp_path / "s")
    client = serve(tmp_path / "s", tmp_path)
    (tmp_path / "s" / "1.2.3").touch()  # holds for root too, which no permission stops
    answer = stow(client, sent[0])
    assert answer.status_code == 403
    assert "cannot be written" in answer.json()["detail"]


def test_a_boundary_inside_a_file_does_not_split_it(tmp_path: Path) -> None:
    with (tmp_path / "body").open("wb+") as stream:
        stream.write(b"preamble\r\n--XX\r\nA: b\r\n\r\none--XX two\r\n--XX\r\n\r\n\r\nthree\r\n--XX--")
        stream.flush()
        assert next(read_multipart(stream, "XX")) == b"one--XX two"


# ---- an archive behind us ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def remote(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with orthanc(tmp_path_factory.mktemp("orthanc"), sorted(root.rglob("*.dcm"))) as address:
        yield serve(address, tmp_path_factory.mktemp("scratch"))


def test_the_archive_gets_the_query_string(remote: TestClient) -> None:
    assert studies(remote, "PatientName=*Jane*&limit=101&offset=0&includefield=00081030%2C00080060") == [STUDY]
    assert len(studies(remote, "limit=1")) == 1
    assert studies(remote, f"StudyInstanceUID={OTHER}") == [OTHER]


def test_the_archive_s_images_come_through(remote: TestClient, client: TestClient) -> None:
    address = f"/studies/{STUDY}/series/{ENHANCED}"
    (found,) = remote.get(f"{WADO}{address}/metadata").json()
    (own,) = client.get(f"{WADO}{address}/metadata").json()
    assert found["52009230"] == own["52009230"]
    uid = found["00080018"]["Value"][0]
    frames = f"{WADO}{address}/instances/{uid}/frames/2"
    assert parts(remote.get(frames, headers=ANY_SYNTAX))[0][1] == parts(client.get(frames, headers=ANY_SYNTAX))[0][1]
    bulk = found["7FE00010"]["BulkDataURI"]
    assert bulk.startswith(f"{WADO}/studies/"), "the browser cannot reach the archive's own address"


def test_the_archive_stores(remote: TestClient, sent: list[bytes]) -> None:
    answer = stow(remote, *sent)
    assert answer.status_code == 200
    assert len(answer.json()["00081199"]["Value"]) == 3
    assert studies(remote, "PatientID=NEW") == ["1.2.3"]
    assert stow(remote, b"hello").status_code in (400, 409)


class _Upstream(BaseHTTPRequestHandler):
    """An archive that notes what it is asked and answers as the path says."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        level, _, rest = self.path.removeprefix("/pacs/").partition("/")
        code = int(rest.split("/")[0].split(".")[-1]) if level == "studies" and rest else 200
        if code == 999:
            time.sleep(3)
        self.send_response(code if code != 999 else 200)
        for name, value in (("Content-Type", "application/dicom+json"), ("Set-Cookie", "a=b"),
                            ("Location", "http://elsewhere.example/"), ("Connection", "close"),
                            ("WWW-Authenticate", "Basic"), ("X-Powered-By", "x")):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[str]:
    _Upstream.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://u:s3cret@127.0.0.1:{server.server_port}/pacs"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "path",
    ["../secret", "studies/../../secret", "studies/..%2F..%2Fsecret", "studies/%2e%2e/%2e%2e/secret",
     "studies/1.2%3Fx=1", "studies/1.2%23x", "studies//etc", "studies/1.2/series/abc/metadata", "system", "instances/x",
     "studies/1.2%5C..%5Cx", "studies/1.2%0d%0aX:y", "http:%2F%2Felsewhere.example"],
)  # fmt: skip
@pytest.mark.parametrize("prefix", [WADO, QIDO])
def test_nothing_leads_out_of_the_archive_s_address(upstream: str, tmp_path: Path, prefix: str, path: str) -> None:
    answer = serve(upstream, tmp_path).get(f"{prefix}/{path}")
    assert answer.status_code in (400, 404)
    assert _Upstream.asked == []


def test_only_what_dicomweb_needs_is_passed_either_way(upstream: str, tmp_path: Path) -> None:
    client = serve(upstream, tmp_path)
    headers = {"Accept": "application/dicom+json", "Cookie": "session=x", "Authorization": "Bearer browser", "X-A": "b"}
    answer = client.get(f"{QIDO}/studies?PatientName=M%C3%BCller%20*&limit=5", headers=headers)
    ((path, asked),) = _Upstream.asked
    assert urlsplit(path).path == "/pacs/studies"
    assert urlsplit(path).query == "PatientName=M%C3%BCller%20*&limit=5"
    assert asked["authorization"] == "Basic dTpzM2NyZXQ="
    assert asked["accept"] == "application/dicom+json"
    assert not {"cookie", "x-a"} & set(asked)
    assert not {"set-cookie", "www-authenticate", "x-powered-by", "location"} & {
        name.lower() for name in answer.headers
    }


@pytest.mark.parametrize(("code", "status"), [(302, 502), (401, 502), (403, 502), (404, 404), (500, 502), (504, 504)])
def test_the_archive_s_errors_are_told_apart(upstream: str, tmp_path: Path, code: int, status: int) -> None:
    answer = serve(upstream, tmp_path).get(f"{WADO}/studies/1.{code}/metadata")
    assert answer.status_code == status
    assert str(code) in answer.json()["detail"] or code == 504
    assert "s3cret" not in answer.text


def test_an_archive_that_hangs_or_is_down(upstream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorseg.server.dicomweb_remote.READ_SECONDS", 0.5)
    assert serve(upstream, tmp_path).get(f"{WADO}/studies/1.999/metadata").status_code == 504
    down = serve("http://u:s3cret@127.0.0.1:9/pacs", tmp_path).get(f"{QIDO}/studies")
    assert down.status_code == 502
    assert "s3cret" not in down.text


@pytest.mark.skipif(os.environ.get("TUMORSEG_DATA") is None, reason="TUMORSEG_DATA does not name the real data")
def test_real_enhanced_studies_are_served(tmp_path: Path) -> None:
    root = Path(os.environ["TUMORSEG_DATA"]) / "nema_brtum"
    client = serve(root, tmp_path)
    (study,) = studies(client, "")
    for entry in client.get(f"{WADO}/studies/{study}/metadata").json():
        uid = entry["00080018"]["Value"][0]
        path = next(path for path in root.iterdir() if path.is_file() and uid.encode() in path.read_bytes()[:4096])
        pixels = pydicom.dcmread(path).pixel_array
        frames = parts(client.get(entry["7FE00010"]["BulkDataURI"], headers=ANY_SYNTAX))
        assert b"".join(body for _, body in frames) == pixels.tobytes()

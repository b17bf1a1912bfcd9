"""Every request whose rule has an action is recorded, with what came of it and without a patient's name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import ask_ohif, config_for, in_process, token_of
from tumorseg.access.types import Role
from tumorseg.audit.verify import verify
from tumorseg.server.audit import Subject, subject

PATIENT = "DOE_JANE_19650312"


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    write_nifti(tmp_path / "studies" / f"{PATIENT}.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    return tmp_path / "studies"


@pytest.fixture
def client(studies: Path, tmp_path: Path) -> Iterator[TestClient]:
    with in_process(config_for(studies, tmp_path, labels=tmp_path / "labels")) as client:
        yield client


def trail(client: TestClient, **wanted: Any) -> list[dict[str, Any]]:
    """The records so far, oldest first, without those of looking into them."""
    headers = wanted.pop("headers", {})
    time.sleep(0.6)  # looking is written a moment later
    found: list[dict[str, Any]] = client.get("/audit/", params=wanted, headers=headers).json()["records"]
    return [record for record in reversed(found) if record["action"] != "audit.read"]


def test_a_change_is_recorded_before_and_after(client: TestClient) -> None:
    mask = ask_ohif(client, PATIENT)
    label = {"label": ("x.nrrd", mask)}
    answer = client.put("/datastore/label", params={"image": PATIENT, "tag": "final"}, files=label)
    assert answer.status_code == 200
    about = trail(client, action="label.save")
    assert [(record["phase"], record["status"]) for record in about] == [("intent", 0), ("done", 200)]
    assert {record["request"] for record in about} == {answer.headers["x-request-id"]}
    assert {(record["who"], record["role"], record["how"]) for record in about} == {("local", "admin", "loopback")}
    assert all(record["image"].startswith("id:") for record in about)
    assert about[1]["label"] == answer.json()["version"]
    assert about[1]["detail"] == {"tag": "final"}
    assert [record["seq"] for record in trail(client, image=PATIENT, action="label.save")] == [
        record["seq"] for record in about
    ]


def test_a_change_that_cannot_be_recorded_does_not_happen(client: TestClient, tmp_path: Path) -> None:
    mask = ask_ohif(client, PATIENT)
    state = tmp_path / "state"
    client.app.state.audit.close()  # type: ignore[attr-defined]
    state.rename(tmp_path / "gone")
    state.write_text("a file where the state folder should be")
    label = {"label": ("x.nrrd", mask)}
    refused = client.put("/datastore/label", params={"image": PATIENT, "tag": "final"}, files=label)
    assert refused.status_code == 503
    assert "cannot be written" in refused.json()["detail"]
    assert str(tmp_path) not in refused.text
    assert client.get("/datastore/").json()["completed"] == 0
    # Looking goes on.
    assert client.get("/datastore/image", params={"image": PATIENT}).status_code == 200
    state.unlink()
    (tmp_path / "gone").rename(state)
    again = client.put("/datastore/label", params={"image": PATIENT, "tag": "final"}, files=label)
    assert again.status_code == 200


def test_no_file_of_the_state_holds_a_patient(client: TestClient, tmp_path: Path) -> None:
    ask_ohif(client, PATIENT)
    client.get("/datastore/image", params={"image": PATIENT})
    client.delete("/datastore/label", params={"id": PATIENT, "tag": "final"})
    client.get("/datastore/label", params={"label": PATIENT, "tag": "final"})
    client.put("/datastore/image/info", params={"image": PATIENT}, data={"info": '{"PatientName": "DOE^JANE"}'})
    assert {record["action"] for record in trail(client)} == {
        "infer",
        "image.read",
        "image.note",
        "label.read",
        "label.remove",
    }
    for file in (path for path in (tmp_path / "state").rglob("*") if path.is_file()):
        assert b"DOE" not in file.read_bytes(), file
        assert b"JANE" not in file.read_bytes(), file


def test_a_series_is_known_by_its_uid_and_looked_at_once_a_minute(tmp_path: Path) -> None:
    write_dicom_series(
        tmp_path / "studies", GRIDS["axial"], sample(GRIDS["axial"]), PatientName="DOE^JANE", PatientID="19650312"
    )
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        (uid,) = client.get("/datastore/", params={"output": "all"}).json()["objects"]
        study = client.get("/proxy/dicom/qido/studies", params={"PatientName": "DOE*"}).json()[0]["0020000D"]["Value"][
            0
        ]
        series = f"/proxy/dicom/wado/studies/{study}/series/{uid}"
        listed = client.get(f"{series}/instances").json()
        for instance in [entry["00080018"]["Value"][0] for entry in listed]:
            assert client.get(f"{series}/instances/{instance}/frames/1").status_code == 200
        looked = trail(client, action="dicom.read")
        everything = trail(client)
    assert len(listed) > 5
    assert [(record["image"], record["study"], record["status"]) for record in looked] == [(uid, study, 200)]
    assert "DOE" not in str(everything)
    assert "19650312" not in str(everything).replace(uid, "").replace(study, "")


def test_who_was_refused_is_recorded_too(studies: Path, tmp_path: Path) -> None:
    viewer = {"Authorization": f"Bearer {token_of(tmp_path / 'state', 'eve', Role.VIEWER)}"}
    admin = {"Authorization": f"Bearer {token_of(tmp_path / 'state', 'root', Role.ADMIN)}"}
    with in_process(config_for(studies, tmp_path)) as client:
        for _ in range(5):
            assert client.delete("/datastore/label", params={"id": PATIENT, "tag": "x"}, headers=viewer).is_client_error
            assert client.get("/datastore/image", params={"image": PATIENT}).status_code == 401
        assert client.get("/audit/", headers=viewer).status_code == 403
        found = trail(client, headers=admin)
    assert [(record["who"], record["action"], record["status"]) for record in found if record["phase"] == "done"] == [
        ("eve", "label.remove", 403),
        ("", "image.read", 401),
    ]
    assert not [record for record in found if record["phase"] == "intent"]


def test_a_stranger_cannot_fill_the_log(studies: Path, tmp_path: Path) -> None:
    admin = {"Authorization": f"Bearer {token_of(tmp_path / 'state', 'root', Role.ADMIN)}"}
    with in_process(config_for(studies, tmp_path)) as client:
        for number in range(30):
            client.get("/datastore/image", params={"image": f"invented{number}"})
            client.put("/datastore/label", params={"image": f"invented{number}", "tag": "x"})
            client.get("/datastore/image", params={"image": f"invented{number}"}, headers=admin)
        found = trail(client, headers=admin)
    assert [(record["who"], record["action"], record["image"], record["status"]) for record in found] == [
        ("", "image.read", "", 401),
        ("", "label.save", "", 401),
        ("root", "image.read", "", 404),
    ]


def test_what_changes_nothing_and_shows_no_patient_is_not_recorded(client: TestClient) -> None:
    for path in ("/info/", "/healthz", "/readyz", "/metrics", "/docs", "/", "/no/such/address"):
        client.get(path)
    client.post("/datastore/label")  # no such method
    assert trail(client) == []


def test_pages_follow_each_other(client: TestClient) -> None:
    log = client.app.state.audit  # type: ignore[attr-defined]
    for number in range(7):
        log.record("ann", "annotator", "label.save", f"case{number}", 200)
    seen = []
    before: int | None = 0
    while before is not None:
        page = client.get("/audit/", params={"limit": 3, "before": before, "who": "ann"}).json()
        seen += [record["seq"] for record in page["records"]]
        before = page["next"]
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 1001}, {"before": -1}, {"before": 2**70}, {"since": "yesterday"}]
)
def test_nonsense_is_said(params: dict[str, Any], client: TestClient) -> None:
    assert client.get("/audit/", params=params).status_code == 422


def test_the_chain_of_a_server_is_whole(client: TestClient, tmp_path: Path) -> None:
    ask_ohif(client, PATIENT)
    client.delete("/datastore/label", params={"id": PATIENT, "tag": "x"})
    trail(client)
    verdict = verify(tmp_path / "state" / "audit")
    assert verdict.broken is None
    assert verdict.records >= 3


def test_addresses_are_left_out_where_a_site_wants_so(studies: Path, tmp_path: Path) -> None:
    with in_process(config_for(studies, tmp_path, audit_addresses="no")) as client:
        client.get("/datastore/image", params={"image": PATIENT})
        assert [record["address"] for record in trail(client)] == [""]


@pytest.mark.parametrize(
    ("path", "query", "named", "expected"),
    [
        ("/infer/x", b"image=a", {"model": "x"}, Subject("a")),
        ("/datastore/label", b"label=a&tag=t", {}, Subject("a")),
        ("/datastore/label", b"id=a&tag=t", {}, Subject("a")),
        ("/proxy", b"", {"study": "1.2", "series": "3.4", "instance": "5"}, Subject("3.4", "1.2")),
        ("/proxy", b"", {"path": "studies/1.2/series/3.4/metadata"}, Subject("3.4", "1.2")),
        ("/proxy", b"PatientName=DOE", {"path": "studies"}, Subject()),
        ("/other", b"id=secret", {}, Subject()),
    ],
)
def test_what_a_request_is_about(path: str, query: bytes, named: dict[str, str], expected: Subject) -> None:
    assert subject({"path": path, "query_string": query, "path_params": named}) == expected

"""``/labels``: versions, review, agreement and leases over the real application, with people of every role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, read_label, token_of, tumour_mask
from tumorseg.access.types import Role
from tumorseg.config import AppConfig
from tumorseg.geometry import Grid, Reorientation
from tumorseg.io.write import nifti_bytes
from tumorseg.types import Segmentation

GRID = GRIDS["oblique"]
PEOPLE = {
    "vic": Role.VIEWER,
    "ann": Role.ANNOTATOR,
    "bob": Role.ANNOTATOR,
    "rita": Role.REVIEWER,
    "rob": Role.REVIEWER,
    "ada": Role.ADMIN,
}

#: Sends a request as somebody.
Ask = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    for name in ("one", "two"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRID, sample(GRID))
    return config_for(tmp_path / "studies", tmp_path, labels=tmp_path / "labels")


@pytest.fixture
def client(config: AppConfig) -> Iterator[TestClient]:
    with in_process(config) as client:
        yield client


@pytest.fixture
def ask(config: AppConfig, client: TestClient) -> Ask:
    tokens = {name: token_of(config.state, name, role) for name, role in PEOPLE.items()}

    def ask(who: str, method: str, path: str, status: int = 200, **said: Any) -> Any:
        answer = client.request(method, path, headers={"Authorization": f"Bearer {tokens[who]}"}, **said)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.headers["content-type"] == "application/json" else answer

    return ask


def save(ask: Ask, who: str, mask: NDArray[np.bool_], image: str = "one", status: int = 200) -> str:
    file = nifti_bytes(Segmentation(mask.astype(np.uint8), GRID, {}), compress=True)
    said = {"params": json.dumps({"label_info": [{"name": "tumor", "idx": 1}]})}
    answer = ask(
        who, "PUT", "/datastore/label", status, params={"image": image}, data=said, files={"label": ("a.nii.gz", file)}
    )
    return str(answer.get("version"))


def test_versions_of_all_authors_stay_and_can_be_fetched(ask: Ask) -> None:
    first, second = save(ask, "ann", tumour_mask(GRID)), save(ask, "bob", np.roll(tumour_mask(GRID), 1, 2))
    said = ask("vic", "GET", "/labels/one")
    assert [(v["uid"], v["author"], v["newest"], v["state"]) for v in said["versions"]] == [
        (second, "bob", True, "open"),
        (first, "ann", False, "open"),
    ]
    assert said["annotators"] == ["ann", "bob"]
    assert ask("vic", "GET", "/labels/one", params={"tag": "draft"})["versions"] == []
    file = ask("vic", "GET", f"/labels/one/versions/{first}/file")
    assert file.headers["etag"] == f'"{first}"'
    assert "one.nii.gz" in file.headers["content-disposition"]


def test_the_file_of_an_old_version_is_what_was_sent(ask: Ask, tmp_path: Path) -> None:
    first = save(ask, "ann", tumour_mask(GRID))
    save(ask, "ann", np.zeros(GRID.shape, bool))
    (tmp_path / "old.nii.gz").write_bytes(ask("vic", "GET", f"/labels/one/versions/{first}/file").content)
    assert np.array_equal(read_label(tmp_path / "old.nii.gz")[0], tumour_mask(GRID))


def test_a_version_is_drawn_on_its_image(ask: Ask) -> None:
    def coloured(uid: str) -> int:
        answer = ask("vic", "GET", f"/labels/one/versions/{uid}/picture")
        assert answer.headers["content-type"] == "image/png"
        pixels = np.asarray(Image.open(BytesIO(answer.content)).convert("RGB")).astype(int)
        return int((np.ptp(pixels, axis=2) > 80).sum())

    marked, empty = save(ask, "ann", tumour_mask(GRID)), save(ask, "bob", np.zeros(GRID.shape, bool))
    assert coloured(marked) > coloured(empty) + 200
    ask("rita", "DELETE", "/datastore/label", params={"id": "one", "tag": "final"})
    removed = ask("vic", "GET", "/labels/one")["versions"][0]
    assert removed["kind"] == "removed"
    ask("vic", "GET", f"/labels/one/versions/{removed['uid']}/picture", 404)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_label_stored_the_other_way_round_is_drawn_at_the_same_place(ask: Ask, axis: int) -> None:
    """The phantom's tumour is to one side along every axis, so a flipped picture is another picture."""

    def drawn(voxels: NDArray[np.bool_], grid: Grid) -> bytes:
        file = nifti_bytes(Segmentation(voxels.astype(np.uint8), grid, {}), compress=True)
        said = {"params": json.dumps({"label_info": [{"name": "tumor", "idx": 1}]})}
        kept = ask(
            "ann", "PUT", "/datastore/label", params={"image": "one"}, data=said, files={"label": ("a.nii.gz", file)}
        )
        return bytes(ask("vic", "GET", f"/labels/one/versions/{kept['version']}/picture").content)

    mask = tumour_mask(GRID)
    turn = Reorientation((0, 1, 2), tuple(n == axis for n in range(3)))
    assert drawn(turn.apply(mask), turn.grid(GRID)) == drawn(mask, GRID)
    assert drawn(np.flip(mask, axis), GRID) != drawn(mask, GRID)


def test_restoring_ones_own_and_others(ask: Ask) -> None:
    first = save(ask, "ann", tumour_mask(GRID))
    save(ask, "ann", np.roll(tumour_mask(GRID), 1, 2))
    ask("bob", "POST", f"/labels/one/versions/{first}/restore", 403)
    ask("vic", "POST", f"/labels/one/versions/{first}/restore", 403)
    own = ask("ann", "POST", f"/labels/one/versions/{first}/restore")
    assert (own["author"], own["parent"], own["newest"]) == ("ann", first, True)
    others = ask("rita", "POST", f"/labels/one/versions/{first}/restore")
    assert others["author"] == "rita"
    assert len(ask("vic", "GET", "/labels/one")["versions"]) == 4


def test_a_verdict_takes_a_reviewer_who_is_not_the_author(ask: Ask) -> None:
    uid = save(ask, "ann", tumour_mask(GRID))
    path = f"/labels/one/versions/{uid}/review"
    ask("ann", "POST", path, 403, json={"verdict": "approve"})
    ask("vic", "POST", path, 403, json={"verdict": "comment", "comment": "nice"})
    ask("bob", "POST", path, json={"verdict": "comment", "comment": "see slice 3"})
    ask("rita", "POST", path, 422, json={"verdict": "reject"})
    ask("rita", "POST", path, 422, json={"verdict": "perhaps"})
    ask("rita", "POST", path, json={"verdict": "reject", "comment": "too small"})
    ask("rob", "POST", path, json={"verdict": "approve"})
    said = ask("vic", "GET", f"/labels/one/versions/{uid}")
    assert said["state"] == "approved"
    assert [(r["reviewer"], r["verdict"], r["comment"]) for r in said["reviews"]] == [
        ("bob", "comment", "see slice 3"),
        ("rita", "reject", "too small"),
        ("rob", "approve", ""),
    ]
    mine = save(ask, "rita", np.roll(tumour_mask(GRID), 2, 1))
    refused = ask("rita", "POST", f"/labels/one/versions/{mine}/review", 403, json={"verdict": "approve"})
    assert "somebody else" in refused["detail"]
    ask("ada", "POST", f"/labels/one/versions/{mine}/review", json={"verdict": "approve"})


def test_reviewed_without_a_lesion_is_a_label(ask: Ask) -> None:
    """MONAI Label has no way to say it: an empty mask crashes its DICOM store."""
    kept = ask("ann", "PUT", "/labels/two/no-lesion")
    assert (kept["kind"], kept["tag"], kept["author"]) == ("no_lesion", "final", "ann")
    assert ask("vic", "GET", "/datastore/")["completed"] == 1
    said = ask("vic", "GET", "/labels/")
    assert said["counts"] == {"images": 2, "unlabelled": 1, "open": 1, "approved": 0, "rejected": 0, "no_lesion": 1}
    ask("vic", "PUT", "/labels/two/no-lesion", 403)
    ask("ann", "PUT", "/labels/two/no-lesion", 422, params={"tag": "../../x"})


def test_agreement_and_consensus(ask: Ask) -> None:
    truth = tumour_mask(GRID)
    save(ask, "ann", truth)
    assert "at least two" in ask("vic", "GET", "/labels/one/agreement", 422)["detail"]
    save(ask, "bob", truth)
    save(ask, "rob", np.roll(truth, 3, 2))
    found = ask("vic", "GET", "/labels/one/agreement")
    both = 2 * int((truth & np.roll(truth, 3, 2)).sum()) / (2 * int(truth.sum()))
    assert found["annotators"] == ["ann", "bob", "rob"]
    assert found["dice"]["tumor"] == [
        [1, 1, pytest.approx(both)],
        [1, 1, pytest.approx(both)],
        [pytest.approx(both)] * 2 + [1],
    ]
    assert found["mean"]["tumor"] == pytest.approx((1 + 2 * both) / 3)
    ask("ann", "POST", "/labels/one/consensus", 403)
    kept = ask("rita", "POST", "/labels/one/consensus")
    assert kept["author"] == "consensus"
    assert set(kept["info"]["parents"]) == {"ann", "bob", "rob"}
    ask("rita", "POST", f"/labels/one/versions/{kept['uid']}/review", json={"verdict": "approve"})


def test_the_overview_pages_and_filters(ask: Ask) -> None:
    uid = save(ask, "ann", tumour_mask(GRID))
    ask("rita", "POST", f"/labels/one/versions/{uid}/review", json={"verdict": "approve"})
    approved = ask("vic", "GET", "/labels/", params={"state": "approved"})
    assert [case["image"] for case in approved["images"]] == ["one"]
    assert approved["images"][0]["heads"][0]["uid"] == uid
    second = ask("vic", "GET", "/labels/", params={"offset": 1, "limit": 1})
    assert ([case["image"] for case in second["images"]], second["total"]) == (["two"], 2)
    assert second["images"][0]["state"] == "unlabelled"
    for params in ({"limit": 0}, {"offset": -1}, {"state": "odd"}, {"tag": "a/b"}, {"limit": 10**9}):
        ask("vic", "GET", "/labels/", 422, params=params)


def test_leases_over_the_wire(ask: Ask) -> None:
    assert ask("vic", "GET", "/labels/one/lease") is None
    assert ask("ann", "PUT", "/labels/one/lease")["holder"] == "ann"
    assert "ann works on" in ask("bob", "PUT", "/labels/one/lease", 409)["detail"]
    ask("vic", "PUT", "/labels/one/lease", 403)
    ask("bob", "DELETE", "/labels/one/lease")
    assert ask("vic", "GET", "/labels/one/lease")["holder"] == "ann"
    assert ask("vic", "GET", "/labels/")["leases"][0]["image"] == "one"
    assert ask("bob", "POST", "/activelearning/first", json={"client_id": "ann"})["id"] == "two"
    ask("rita", "DELETE", "/labels/one/lease")
    assert ask("vic", "GET", "/labels/one/lease") is None
    ask("ann", "PUT", "/labels/one/lease")
    save(ask, "ann", tumour_mask(GRID))
    assert ask("vic", "GET", "/labels/one/lease") is None


def test_the_name_of_who_signed_in_counts_and_not_what_the_client_says(ask: Ask) -> None:
    assert ask("ann", "PUT", "/labels/one/lease", params={"client_id": "bob"})["holder"] == "ann"


@pytest.mark.parametrize("image", ["three", "..%2fone", "%2fetc%2fpasswd", "%2e%2e%2fone", "one%00"])
def test_an_image_is_looked_up_and_never_a_path(image: str, ask: Ask) -> None:
    uid = save(ask, "ann", tumour_mask(GRID))
    for method, path in (
        ("GET", ""),
        ("GET", f"/versions/{uid}"),
        ("GET", f"/versions/{uid}/file"),
        ("POST", f"/versions/{uid}/restore"),
        ("PUT", "/no-lesion"),
        ("GET", "/agreement"),
        ("POST", "/consensus"),
        ("GET", "/lease"),
        ("PUT", "/lease"),
        ("DELETE", "/lease"),
    ):
        answer = ask("ada", method, f"/labels/{image}{path}", 404)
        assert "etc" not in str(answer.get("detail", "")) or "no image" in answer["detail"]


def test_a_version_of_another_image_is_unknown(ask: Ask) -> None:
    uid = save(ask, "ann", tumour_mask(GRID))
    for method, path in (("GET", ""), ("GET", "/file"), ("POST", "/restore")):
        ask("ada", method, f"/labels/two/versions/{uid}{path}", 404)
    ask("ada", "POST", f"/labels/two/versions/{uid}/review", 404, json={"verdict": "approve"})
    ask("ada", "GET", "/labels/two/versions/nonsense", 404)


def test_a_label_of_another_image_is_refused_at_save(ask: Ask, client: TestClient) -> None:
    """MONAI Label keeps whatever is sent, whichever image it was drawn on."""
    other = GRIDS["axial"]
    file = nifti_bytes(Segmentation(np.ones(other.shape, np.uint8), other, {}), compress=True)
    refused = ask("ann", "PUT", "/datastore/label", 422, params={"image": "one"}, files={"label": ("a.nii.gz", file)})
    assert "does not lie on its image's voxels" in refused["detail"]
    assert " × ".join(str(n) for n in GRID.shape[::-1]) in refused["detail"]
    assert ask("vic", "GET", "/labels/one")["versions"] == []


def test_the_addresses_are_described(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    found = {path for path in paths if path.startswith("/labels")}
    assert len(found) == 12
    answer = paths["/labels/{image}/agreement"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["$ref"].endswith("AgreementOut")


def test_the_server_knows_its_classes(config: AppConfig, tmp_path: Path) -> None:
    strict = config_for(config.studies, tmp_path, labels=tmp_path / "labels", label_classes="oedema=2")
    with in_process(strict) as client:
        file = nifti_bytes(Segmentation(tumour_mask(GRID).astype(np.uint8), GRID, {}), compress=True)
        said = {"params": json.dumps({"label_info": [{"name": "tumor", "idx": 1}]})}
        answer = client.put("/datastore/label", params={"image": "one"}, data=said, files={"label": ("a.nii.gz", file)})
    assert answer.status_code == 422
    assert "'tumor' is unknown here; expected one of oedema=2" in answer.json()["detail"]

"""The unmodified clients against a server where people sign in: the wheel's client, Slicer's module, OHIF."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.ohif_viewer import chromium, viewer
from tests.clients.test_slicer import run_module
from tests.dicom.phantoms import GRIDS, as_displayed, sample, write_dicom_series, write_nifti
from tests.serving import live, read_label, token_of, tumour_mask
from tumorseg.access.types import Role
from tumorseg.access.users import Users

PASSWORD = "correct horse battery"
GRID = GRIDS["oblique"]

needs_cgi = pytest.mark.skipif(sys.version_info >= (3, 13), reason="monailabel's client imports cgi, gone in 3.13")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A running server of one NIfTI where ann signs in, and her personal token."""
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRID, sample(GRID))
    token = token_of(tmp_path / "state", "ann", Role.ANNOTATOR, PASSWORD)
    with live(tmp_path / "studies", tmp_path) as address:
        yield address, token


@needs_cgi
@pytest.mark.parametrize("proof", ["password", "personal token"])
def test_the_wheels_client(server: tuple[str, str], tmp_path: Path, proof: str) -> None:
    library = importlib.import_module("monailabel.client.client")
    address, token = server

    def client() -> Any:
        made = library.MONAILabelClient(address, tmpdir=str(tmp_path), client_id="tester")
        made.update_auth(signed)
        return made

    stranger = library.MONAILabelClient(address, tmpdir=str(tmp_path))
    assert stranger.auth_enabled() is True
    assert stranger.auth_valid_token() is False
    with pytest.raises(library.MONAILabelClientException) as caught:
        stranger.info()
    assert caught.value.status_code == 401
    with pytest.raises(library.MONAILabelClientException):
        stranger.auth_token("ann", "wrong wrong wrong")
    signed = stranger.auth_token("ann", PASSWORD if proof == "password" else token)
    ann = client()
    assert ann.auth_valid_token() is True
    assert ann.next_sample("first", {})["id"] == "case1"
    file, _ = ann.infer("threshold", "case1", {"result_extension": ".nrrd", "result_dtype": "uint8"})
    voxels, grid = read_label(Path(file))
    np.testing.assert_array_equal(voxels > 0, tumour_mask(grid))
    # Trap: with a token the client sends the length of its last request with later ones that have no body.
    assert ann.info()["models"].keys() == {"threshold"}
    assert ann.save_label("case1", file, "final", {"label_info": [{"name": "tumor", "idx": 1}]})["image"] == "case1"
    assert "final" in ann.datastore()["objects"]["case1"]["labels"]
    assert Path(ann.download_label("case1", "final")).stat().st_size > 0
    assert ann.train_status(check_if_running=True) is False
    with pytest.raises(library.MONAILabelClientException) as caught:
        ann.train_stop()
    assert "Status: 403" in caught.value.msg
    # Trap: it also sends the content type of its last form with the next one; Slicer's module makes a new client.
    own = write_nifti(tmp_path / "own.nii.gz", GRID, sample(GRID))
    session = client().create_session(str(own))["session_id"]
    assert client().get_session(session)["name"] == session
    assert client().remove_session(session)["name"] == session
    Users(tmp_path / "state").set_active("ann", False)
    assert client().auth_valid_token() is False


@pytest.mark.parametrize("proof", ["password", "personal token"])
def test_slicers_module(server: tuple[str, str], tmp_path: Path, proof: str) -> None:
    address, token = server
    said = run_module(address, tmp_path / "slicer", "threshold", "ann", PASSWORD if proof == "password" else token)
    assert len(said["points_ras"]["tumor"]) == int(tumour_mask(GRID).sum())
    assert said["completed"] == 1
    assert said["asked_to_sign_in"] == 1


@pytest.mark.timeout(900)
def test_ohif(tmp_path: Path) -> None:
    grid = GRIDS["oblique sagittal"]
    write_dicom_series(
        tmp_path / "studies" / "s",
        grid,
        sample(grid),
        PatientName="Signed^In",
        PatientID="1",
        SeriesDescription="FLAIR",
    )
    token = token_of(tmp_path / "state", "ann", Role.ANNOTATOR)
    with (
        chromium() as browser,
        live(tmp_path / "studies", tmp_path) as address,
        viewer(browser, address) as window,
    ):
        window.page.goto(f"{address}/ohif/")
        assert "/signin?next=/ohif/" in window.page.url
        window.page.get_by_label("Name").fill("ann")
        window.page.get_by_label("Password or personal token").fill(token)
        window.page.get_by_role("button", name="Sign in").click()
        window.page.wait_for_url(f"{address}/ohif/**")
        window.open_study("Signed, In")
        window.connect()
        window.auto_segment("threshold")
        image, labels = window.read()
        assert image.grid.same_as(as_displayed(grid))
        np.testing.assert_array_equal(labels.voxels > 0, tumour_mask(labels.grid))
        assert window.errors == []
        assert window.strangers == set()
        assert "tumorseg" not in window.page.evaluate("document.cookie")  # out of reach of scripts
        window.page.goto(f"{address}/")
        window.page.get_by_role("button", name="Sign out").click()
        window.page.wait_for_url(f"{address}/signin")
        window.page.goto(f"{address}/ohif/")
        assert "/signin" in window.page.url

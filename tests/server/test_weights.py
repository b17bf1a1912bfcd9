"""Weights over HTTP: out and in, by an administrator, and never anything that could run."""

from __future__ import annotations

import io
import os
import pickle
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for, in_process, token_of
from tumorseg.access.types import Role
from tumorseg.config import AppConfig
from tumorseg.models.slicewise import WEIGHTS

SHIPPED = WEIGHTS / "unet.safetensors"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights of U-Net that differ from the shipped ones."""
    return {
        name: tensor * 1.01 if tensor.is_floating_point() else tensor for name, tensor in load_file(SHIPPED).items()
    }


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    write_nifti(tmp_path / "studies" / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    return config_for(tmp_path / "studies", tmp_path, models="unet,threshold", device="cpu")


@pytest.fixture
def client(config: AppConfig) -> Iterator[TestClient]:
    with in_process(config) as client:
        yield client


def _send(client: TestClient, data: bytes, name: str = "unet.safetensors", model: str = "unet") -> Any:
    return client.put(f"/model/{model}", files={"file": (name, data)})


def _version(client: TestClient) -> str:
    answer = client.post("/infer/unet", params={"image": "case", "output": "json"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["version"])


def test_the_weights_in_use_are_handed_out(client: TestClient) -> None:
    answer = client.get("/model/unet")
    assert answer.content == SHIPPED.read_bytes()
    assert "unet.safetensors" in answer.headers["content-disposition"]
    said = client.get("/model/info/unet").json()
    assert said["checksum"].startswith("SHA256:")
    assert client.get("/model/threshold").status_code == 404
    assert client.get("/model/nobody").status_code == 404
    assert client.get("/model/..%2funet").status_code == 404


def test_new_weights_are_used_at_once_and_after_a_restart(
    config: AppConfig, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    with in_process(config) as client:
        old = _version(client)
        answer = _send(client, save(state))
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"checksum", "modified_time"}
        new = _version(client)
        assert new != old
        assert answer.json()["checksum"].startswith(f"SHA256:{new}")
        assert client.get("/info/").json()["models"]["unet"]["version"] == new
        assert client.get("/model/unet").content == save(state)
    with in_process(config) as client:
        assert _version(client) == new
        assert _send(client, SHIPPED.read_bytes()).status_code == 200
        assert _version(client) == old
    kept = sorted(path.name for path in (tmp_path / "state" / "weights" / "unet").glob("*.safetensors"))
    assert [name[:12] for name in kept] == sorted([old, new])


def test_a_torch_file_of_tensors_is_rewritten(client: TestClient, state: dict[str, torch.Tensor]) -> None:
    for stored in (state, {"epoch": 3, "state_dict": state}):
        buffer = io.BytesIO()
        torch.save(stored, buffer)
        answer = _send(client, buffer.getvalue(), "model.pt")
        assert answer.status_code == 200, answer.text
    assert client.get("/model/unet").content[8:9] == b"{"


class _Evil:
    """Unpickling this makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def _torch_of(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _legacy(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _script(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def _renamed_script(mark: Path) -> bytes:
    """TorchScript whose entries say "data" as those of a state dict do."""
    source, buffer = zipfile.ZipFile(io.BytesIO(_script(mark))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename.replace("code/", "data/").replace("constants", "other"), source.read(entry))
    return buffer.getvalue()


def _bomb(mark: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", bytes(64 << 20))
    return buffer.getvalue()


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "a pickle": lambda mark: pickle.dumps(_Evil(mark)),
    "a torch file with code in it": lambda mark: _torch_of({"weight": _Evil(mark)}),
    "a torch file of the old kind with code in it": lambda mark: _legacy(_Evil(mark)),
    "TorchScript": _script,
    "TorchScript renamed": _renamed_script,
    "a zip bomb": _bomb,
    "a whole module": lambda mark: _torch_of(torch.nn.Linear(2, 2)),
    "a list": lambda mark: _torch_of([torch.zeros(2)]),
    "text": lambda mark: b"no weights",
    "a long header": lambda mark: (2**63).to_bytes(8, "little") + b"{" * 100,
    "a deep header": lambda mark: (200_000).to_bytes(8, "little") + b'{"a":' * 40_000,
    "offsets beyond the end": lambda mark: save({"a": torch.zeros(9)})[:-20],
    "the weights of another network": lambda mark: (WEIGHTS / "gate.safetensors").read_bytes(),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_weights_of_this_network_is_refused_and_never_run(
    what: str, client: TestClient, tmp_path: Path
) -> None:
    mark = tmp_path / "it-ran"
    for name in ("unet.safetensors", "model.pt"):  # what it is called says nothing
        answer = _send(client, HOSTILE[what](mark), name)
        assert answer.status_code == 422, answer.text
    assert not mark.exists()
    assert not (tmp_path / "state" / "weights").exists()
    assert client.get("/model/unet").content == SHIPPED.read_bytes()


def test_the_pickle_is_a_real_one(tmp_path: Path) -> None:
    """Were it harmless, the test above would prove nothing."""
    pickle.loads(pickle.dumps(_Evil(tmp_path / "it-ran")))
    assert (tmp_path / "it-ran").exists()


def test_other_shapes_and_numbers_that_are_none_are_refused(client: TestClient, state: dict[str, torch.Tensor]) -> None:
    name = next(name for name, tensor in state.items() if tensor.ndim == 4)
    for changed in (state[name][:, :1].contiguous(), torch.full_like(state[name], float("nan"))):
        assert _send(client, save({**state, name: changed})).status_code == 422
    assert _send(client, save({key: value for key, value in state.items() if key != name})).status_code == 422
    assert _send(client, save({**state, "more": torch.zeros(1)})).status_code == 422
    assert _version(client) == client.get("/model/info/unet").json()["checksum"][7:19]


def test_only_an_administrator_may(config: AppConfig, state: dict[str, torch.Tensor]) -> None:
    tokens = {role: token_of(config.state, role.title, role) for role in Role}
    with in_process(config) as client:
        for role in (Role.VIEWER, Role.ANNOTATOR, Role.REVIEWER):
            client.headers["Authorization"] = f"Bearer {tokens[role]}"
            assert _send(client, save(state)).status_code == 403
            assert client.get("/model/unet").status_code == 403
        client.headers["Authorization"] = f"Bearer {tokens[Role.ADMIN]}"
        assert _send(client, save(state)).status_code == 200


def test_no_request_is_dropped_while_weights_change(client: TestClient, state: dict[str, torch.Tensor]) -> None:
    answers: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(client.post("/infer/unet", params={"image": "case", "output": "json"}).status_code)

    worker = threading.Thread(target=ask)
    worker.start()
    try:
        assert _send(client, save(state)).status_code == 200
        assert _send(client, SHIPPED.read_bytes()).status_code == 200
    finally:
        stop.set()
        worker.join()
    assert answers
    assert set(answers) == {200}


def test_weights_that_are_gone_are_said(config: AppConfig, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with in_process(config) as client:
        assert _send(client, save(state)).status_code == 200
    for path in (tmp_path / "state" / "weights" / "unet").glob("*.safetensors"):
        path.unlink()
    with in_process(config) as client:
        answer = client.post("/infer/unet", params={"image": "case"})
        assert answer.status_code == 422
        assert "are gone" in answer.text
        assert "send new ones" in answer.text
        assert str(tmp_path) not in answer.text
        assert _send(client, save(state)).status_code == 200
        assert _version(client)


def test_a_rollback_gives_the_old_answers_back_bit_for_bit(client: TestClient, state: dict[str, torch.Tensor]) -> None:
    def mask() -> bytes:
        answer = client.post("/infer/unet", params={"image": "case", "output": "image"})
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    first, shipped = mask(), _version(client)
    assert _send(client, save(state)).status_code == 200
    second = _version(client)
    assert second != shipped
    assert client.post("/model/unet/rollback").json() == {"model": "unet", "version": "shipped"}
    assert (mask(), _version(client)) == (first, shipped)
    (card,) = client.app.state.workplace.engine.models.versions.list("unet")  # type: ignore[attr-defined]
    answer = client.post("/model/unet/rollback", json={"version": card.id})
    assert answer.json() == {"model": "unet", "version": card.id}
    assert _version(client) == second


def test_a_rollback_to_what_there_is_not_changes_nothing(client: TestClient) -> None:
    before = _version(client)
    for model, version, status in (("unet", "0099-abcdef12", 404), ("unet", "", 422), ("nobody", "shipped", 404)):
        answer = client.post(f"/model/{model}/rollback", json={"version": version})
        assert answer.status_code == status, answer.text
    assert client.post("/model/unet/rollback", json={"version": "shipped"}).status_code == 200
    assert client.post("/model/unet/rollback", json={"version": "x" * 200}).status_code == 422
    assert _version(client) == before


def test_a_version_that_cannot_be_loaded_is_not_rolled_back_to(
    client: TestClient, config: AppConfig, state: dict[str, torch.Tensor]
) -> None:
    assert _send(client, save(state)).status_code == 200
    assert _send(client, save({name: tensor * 1.0 for name, tensor in load_file(SHIPPED).items()})).status_code == 200
    now = _version(client)
    old = client.app.state.workplace.engine.models.versions.list("unet")[1]  # type: ignore[attr-defined]
    (config.state / "weights" / "unet" / f"{old.sha256}.safetensors").write_bytes(b"gone bad")
    answer = client.post("/model/unet/rollback", json={"version": old.id})
    assert answer.status_code == 422
    assert "gone or damaged" in answer.json()["detail"]
    assert _version(client) == now


def test_only_an_administrator_rolls_back(client: TestClient, config: AppConfig) -> None:
    client.headers["Authorization"] = f"Bearer {token_of(config.state, 'rita', Role.REVIEWER)}"
    assert client.post("/model/unet/rollback", json={"version": "shipped"}).status_code == 403

"""The benchmark's own parts: what it prepares for stock, what it reads from processes, how it compares."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks import batching, detection, machine, masks, processes, report, viewers
from benchmarks.measure import Samples
from benchmarks.stock import prepare
from tumorseg.errors import UnavailableError
from tumorseg.geometry import Grid
from tumorseg.types import StudyImage

# Oblique enough that a swapped axis or a missing change of frame shows.
_AFFINE = np.array([[0.9, 0.1, 0.0, -20.0], [-0.1, 0.9, 0.2, 7.0], [0.0, -0.2, 3.0, 11.0], [0.0, 0.0, 0.0, 1.0]])


def test_stock_reads_the_same_study_at_the_same_place(tmp_path: Path) -> None:
    voxels = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    prepare.write_nifti(tmp_path / "new" / "study.nii", StudyImage(voxels, Grid((3, 4, 5), _AFFINE), ("T1", "FLAIR")))
    seen = nibabel.load(tmp_path / "new" / "study.nii")
    assert seen.shape == (5, 4, 3, 2)
    assert seen.dataobj[4, 1, 2, 1] == voxels[1, 2, 1, 4]
    ras = nibabel.affines.apply_affine(seen.affine, [1, 2, 2])
    lps = Grid((3, 4, 5), _AFFINE).points(np.array([[1, 2, 2]]))[0]
    np.testing.assert_allclose(ras, lps * [-1, -1, 1], atol=1e-4)


def test_stock_gets_the_same_weights_in_float32(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"a.weight": torch.randn(4, 3).half(), "a.count": torch.tensor(7)}
    save_file(state, tmp_path / "w.safetensors")
    prepare.write_checkpoint(tmp_path / "w.pt", tmp_path / "w.safetensors")
    seen = torch.load(tmp_path / "w.pt", weights_only=True)["model"]
    assert seen["a.weight"].dtype == torch.float32
    assert torch.equal(seen["a.weight"].half(), state["a.weight"])
    assert seen["a.count"] == 7


def test_an_environment_with_these_pins_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setattr(prepare, "run", lambda command: pytest.fail(f"built again: {command}"))
    (tmp_path / ".installed").write_text(hashlib.sha256(prepare.REQUIREMENTS.read_bytes()).hexdigest())
    assert prepare.environment(tmp_path) == tmp_path / "bin" / "python"


def test_a_failed_installation_says_why() -> None:
    with pytest.raises(UnavailableError, match="no such pin"):
        prepare.run([sys.executable, "-c", "import sys; sys.exit('no such pin')"])


def test_the_pins_are_those_that_the_comparison_names() -> None:
    pins = dict(line.split("==") for line in prepare.REQUIREMENTS.read_text().splitlines() if "==" in line)
    wanted = {
        "monailabel": "0.8.5",
        "monai": "1.5.2",
        "pydicom": "2.4.5",
        "pydicom-seg": "0.4.1",
        "highdicom": "0.22.0",
    }
    assert wanted.items() <= pins.items()
    assert pins["numpy"].startswith("1.26.")


def test_what_a_process_and_its_child_use_is_counted() -> None:
    child = "data = bytearray(60_000_000); sum(range(6_000_000)); print(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with processes.MemoryWatch(process.pid, interval_s=0.01) as watch:
            assert len(processes.family(process.pid)) == 2
            assert processes.resident_mb(process.pid) > 60
            assert processes.cpu_seconds(process.pid) > 0.05
            threading.Event().wait(0.1)
        assert watch.peak > 60
        process.communicate(b"\n")
    assert processes.resident_mb(process.pid) == 0


class _StandIn(BaseHTTPRequestHandler):
    """Answers as the protocol says, and keeps what it was asked."""

    asked: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, body))
        if "output=image" in self.path:
            self._answer("application/octet-stream", b"NRRD\n")
        else:
            said = b'--x\r\nContent-Disposition: form-data; name="params"\r\n\r\n{"latencies": {"total": 0.5}}\r\n'
            file = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.nrrd"\r\n'
            kind = b"Content-Type: application/octet-stream\r\n\r\nNRRD\x00\r\n--x--\r\n"
            self._answer("multipart/form-data; boundary=x", said + file + kind)

    def do_GET(self) -> None:
        self._answer("application/json", b"{}")

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_the_viewers_requests() -> None:
    handler = type("Handler", (_StandIn,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        ohif = viewers.ask_ohif(address, "m", "1.2.3")
        slicer = viewers.ask_slicer(address, "m", "1.2.3")
        assert viewers.ask_info(address) > 0
        server.shutdown()
    assert [path for path, _ in handler.asked] == ["/infer/m?image=1.2.3&output=image", "/infer/m?image=1.2.3"]
    assert b"result_compress%22%3A+false" in handler.asked[0][1]
    assert ohif.nrrd == b"NRRD\n"
    assert slicer.nrrd == b"NRRD\x00"
    assert slicer.latencies == {"total": 0.5}


def _nrrd(tmp_path: Path, voxels: np.ndarray, origin: float = 0.0) -> bytes:
    image = sitk.GetImageFromArray(voxels.astype(np.uint8))
    image.SetOrigin((origin, 0.0, 0.0))
    path = tmp_path / "mask.nrrd"
    sitk.WriteImage(image, str(path))
    return path.read_bytes()


def test_agreement_of_masks(tmp_path: Path) -> None:
    one, other = np.zeros((2, 3, 4)), np.zeros((2, 3, 4))
    one[0, :, :2], other[0, :, 1:3] = 1, 1
    first, second = _nrrd(tmp_path, one), _nrrd(tmp_path, other)
    assert masks.agreement(first, first) == 1
    assert masks.agreement(first, second) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="one grid"):
        masks.agreement(first, _nrrd(tmp_path, one, origin=1.0))


def test_steps_and_ratios() -> None:
    said = {"pre": 0.1, "infer": 0.5, "model_pre": 0.1, "model_network": 0.4, "total": 0.6, "transform": {}}
    seen = report.steps(Samples([0.7, 0.9], [0.5, 0.5], [said, said]))
    assert seen == {"pre": 0.1, "model_pre": 0.1, "model_network": 0.4, "http": pytest.approx(0.2)}
    fast, slow = Samples([0.5, 0.4, 9.0], [0.4] * 3), Samples([2.0, 1.0, 30.0], [2.0] * 3)
    by = {"ohif": fast, "slicer": fast}
    warm = report.summary({"ours": by, "ours_uncached": by, "stock": {"ohif": slow, "slicer": slow}})
    ratios = report.ratios(
        {
            "warm": warm,
            "first_mask_s": {"ours": [2.0], "stock": [9.0]},
            "memory_mb": {"ours": 500.0, "stock": 1500.0},
            "info_s": {"ours": {"busy": [0.01]}, "stock": {"busy": [1.0, 2.0]}},
        }
    )
    assert ratios["warm_ohif"] == 4.0
    assert ratios["warm_ohif_cpu"] == 5.0
    assert (ratios["first_mask"], ratios["memory"], ratios["info_while_busy"]) == (4.5, 3.0, 150.0)


def test_the_machine_is_described_and_not_named() -> None:
    seen = machine.machine()
    assert seen["cores"] == os.cpu_count()
    assert seen["memory_gib"] > 0
    assert os.uname().nodename not in seen.values()
    assert machine.versions()["numpy"] == np.__version__


def test_plain_torchvision_has_our_weights_and_its_own_settings(tmp_path: Path) -> None:
    import inspect

    import torch
    from safetensors.torch import save_file
    from torchvision.models.detection import MaskRCNN

    from tumorseg.models.detector import DetectorModel
    from tumorseg.models.maskrcnn_brain import SPEC
    from tumorseg.networks.maskrcnn import build_maskrcnn

    network = build_maskrcnn(SPEC.backbone, 1)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, tmp_path / "w.safetensors")
    model = DetectorModel(SPEC, tmp_path / "w.safetensors", "cpu")
    plain = detection.plain(model, detection.PLAIN_MIN_SIZE, detection.PLAIN_MAX_SIZE)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in plain.state_dict().items())
    usual = {name: one.default for name, one in inspect.signature(MaskRCNN.__init__).parameters.items()}
    assert (plain.transform.min_size, plain.transform.max_size) == ((usual["min_size"],), usual["max_size"])
    assert plain.rpn.pre_nms_top_n() == usual["rpn_pre_nms_top_n_test"]
    assert plain.rpn.post_nms_top_n() == usual["rpn_post_nms_top_n_test"]
    assert plain.roi_heads.score_thresh == usual["box_score_thresh"]
    assert plain.roi_heads.nms_thresh == usual["box_nms_thresh"]
    assert plain.roi_heads.detections_per_img == usual["box_detections_per_img"]


def test_the_volume_is_of_24_slices_in_place() -> None:
    whole = detection.volume()
    assert whole.grid.shape == (24, 256, 256)
    one = detection.part(whole, slice(0, 1))
    np.testing.assert_array_equal(one.voxels[0, 0], whole.voxels[0, 0])


def test_pictures_are_slices_of_their_own_and_both_ways_answer_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import ThresholdModel

    answered: list[ThresholdModel] = []
    predict = ThresholdModel.predict
    monkeypatch.setattr(
        ThresholdModel, "predict", lambda self, *a, **kw: answered.append(self) or predict(self, *a, **kw)
    )
    said = batching._measured(ThresholdModel(), 3, 1)
    assert len(answered) == 2 + 2 * 3
    assert set(said["seconds"]) == {"alone", "together"}
    assert said["speedup"] > 0
    pictures = batching._pictures(ThresholdModel(), 3)
    assert {picture.grid.shape for picture in pictures} == {(1, 256, 256)}
    assert not np.array_equal(pictures[0].voxels, pictures[1].voxels)

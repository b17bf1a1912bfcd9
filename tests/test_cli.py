"""The command line as people and scripts use it: results, one-line errors, exit codes, and nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from tests.dicom.phantoms import GRIDS, TUMOUR, sample, write_dicom_series, write_nifti
from tests.support import ThresholdModel, extra_model
from tumorseg.cli import app
from tumorseg.geometry import flip_ras_lps

ROOT = Path(__file__).resolve().parents[1]
AXIAL = GRIDS["axial"]
RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def bright(monkeypatch):
    """Make the stand-in that marks the phantom's tumour the default model."""
    monkeypatch.delenv("TUMORSEG_DEBUG", raising=False)
    with extra_model("bright", "tests.support:build_bright"):
        yield


def run(*words):
    return RUNNER.invoke(app, [str(word) for word in words])


def ok(*words):
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result


def refused(*words):
    """Run what must be refused, and return the one line that says why."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def shell(*words, **more):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "tumorseg", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False, **more)


@pytest.fixture
def study(tmp_path):
    """One FLAIR series of the phantom."""
    folder = tmp_path / "study"
    write_dicom_series(folder, AXIAL, sample(AXIAL), SeriesDescription="AX FLAIR")
    return folder


# --- help and start-up


def test_nothing_heavy_is_imported_to_start():
    heavy = {"torch", "monai", "monailabel", "numpy", "scipy", "SimpleITK", "nibabel", "pydicom", "fastapi", "PIL"}
    code = "import sys, tumorseg, tumorseg.cli; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "typer" in loaded.stdout.split()
    assert not heavy & set(loaded.stdout.split())


def test_help_of_every_command_has_examples():
    assert {"predict", "serve", "evaluate", "train", "models"} <= set(ok("--help").stdout.split())
    for command in ("predict", "serve", "evaluate", "train"):
        text = ok(command, "--help").stdout
        assert f"tumorseg {command}" in text
        assert "Examples" in text
    assert "tumorseg 0." in ok("--version").stdout


# --- predict


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "nrrd", "seg.nrrd", "png"])
def test_predict_writes_what_the_ending_says(study, tmp_path, ending):
    out = tmp_path / f"mask.{ending}"
    told = ok("predict", study, "--out", out).stdout
    voxels = int((sample(AXIAL) == TUMOUR).sum())
    assert f"{voxels * AXIAL.voxel_volume / 1000:.2f} mL" in told.replace("tumour: ", "")
    assert str(out) in told
    if ending.startswith("nii"):
        mask = nib.load(out)
        np.testing.assert_allclose(np.abs(np.linalg.det(mask.affine)), AXIAL.voxel_volume, rtol=1e-5)
        assert np.asarray(mask.dataobj).sum() == voxels
        where = nib.affines.apply_affine(flip_ras_lps(mask.affine), np.argwhere(np.asarray(mask.dataobj)))
        expected = AXIAL.points(np.argwhere(sample(AXIAL) == TUMOUR)[:, ::-1])
        np.testing.assert_allclose(where.mean(axis=0), expected.mean(axis=0), atol=1e-2)
    elif ending == "png":
        assert Image.open(out).width > 500
    else:
        data, header = nrrd.read(str(out))
        assert (data > 0).sum() == voxels
        assert ("Segment0_Name" in header) == (ending == "seg.nrrd")


def test_predict_for_machines(study, tmp_path):
    result = ok("predict", study, "--out", tmp_path / "m.nii.gz", "--json")
    (line,) = result.stdout.splitlines()
    told = json.loads(line)
    voxels = sample(AXIAL) == TUMOUR
    assert told["model"] == "threshold"
    assert told["voxels"] == voxels.sum()
    assert told["slices_touched"] == voxels.any(axis=(1, 2)).sum()
    assert told["slices"] == AXIAL.shape[0]
    assert told["volume_ml"] == pytest.approx(voxels.sum() * AXIAL.voxel_volume / 1000, abs=0.01)
    assert Path(told["out"]).is_file()
    assert told["channels"] == ["FLAIR"]


def test_predict_says_which_sequence_stood_in(tmp_path):
    write_dicom_series(tmp_path / "t2", AXIAL, sample(AXIAL), SeriesDescription="AX T2 TSE")
    said = ok("predict", tmp_path / "t2", "--out", tmp_path / "m.nrrd").stderr
    assert "note: only T2 here: it stands in for FLAIR" in said


def test_predict_of_a_file_keeps_its_voxel_order(tmp_path):
    grid = GRIDS["oblique"]
    write_nifti(tmp_path / "image.nii.gz", grid, sample(grid))
    ok("predict", tmp_path / "image.nii.gz", "--out", tmp_path / "mask.nii.gz")
    image, mask = nib.load(tmp_path / "image.nii.gz"), nib.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj) >= 700)


def test_predict_of_several_files_of_one_series(study, tmp_path):
    files = sorted(study.iterdir())
    told = json.loads(ok("predict", *files, "--out", tmp_path / "m.nrrd", "--json").stdout)
    assert told["voxels"] == (sample(AXIAL) == TUMOUR).sum()


def test_predict_without_tumour_says_so(tmp_path):
    write_nifti(tmp_path / "i.nii", AXIAL, np.zeros(AXIAL.shape, np.int16) + np.arange(AXIAL.shape[2], dtype=np.int16))
    assert "no tumour found" in ok("predict", tmp_path / "i.nii", "--out", tmp_path / "m.png").stdout


def test_predict_of_a_picture_counts_pixels(tmp_path):
    picture = np.zeros((40, 50), np.uint8)
    picture[10:14, 20:25] = 255
    Image.fromarray(picture).save(tmp_path / "p.png")
    (tmp_path / "t.txt").write_text("200")
    with extra_model():
        told = ok("predict", tmp_path / "p.png", "--out", tmp_path / "m.nii.gz", "--weights", tmp_path / "t.txt").stdout
    assert "20 pixels" in told


class Sure(ThresholdModel):
    """Says how sure it is: brightness in thousandths."""

    def predict(self, image, *, progress=None):
        answer = super().predict(image, progress=progress)
        probability = image.voxels[0].astype(np.float32) / 1000
        return replace(answer, segmentation=replace(answer.segmentation, probability=probability))


def build_sure(weights=None, device="auto"):
    return Sure(name="sure")


def test_min_probability_cuts_where_the_user_says(study, tmp_path):
    with extra_model("sure", "tests.test_cli:build_sure"):
        for threshold in (0.25, 0.55, 0.85):
            words = ("predict", study, "--out", tmp_path / "m.nrrd", "--min-probability", threshold, "--json")
            assert json.loads(ok(*words).stdout)["voxels"] == (sample(AXIAL) >= 1000 * threshold).sum()


def test_min_probability_needs_a_model_that_has_one(study, tmp_path):
    words = ("predict", study, "--out", tmp_path / "m.nrrd", "--min-probability", 0.3)
    assert "threshold does not" in refused(*words)
    assert not (tmp_path / "m.nrrd").exists()


# --- what is wrong with the input


def empty_folder(folder):
    folder.mkdir()
    return folder


def text_as_dicom(folder):
    folder.mkdir()
    (folder / "image.dcm").write_text("this is not an image")
    return folder / "image.dcm"


def truncated(folder):
    files = write_dicom_series(folder, AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    files[4].write_bytes(files[4].read_bytes()[:-700])
    return folder


def truncated_header(folder):
    files = write_dicom_series(folder, AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    files[4].write_bytes(files[4].read_bytes()[:300])
    return files[4]


def missing_slice(folder):
    write_dicom_series(folder, AXIAL, sample(AXIAL), SeriesDescription="FLAIR").pop(7).unlink()
    return folder


def mixed_series(folder):
    uids = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
    for name in ("axial", "sagittal"):
        grid = GRIDS[name]
        write_dicom_series(folder / name, grid, sample(grid), SeriesDescription="FLAIR", **uids)
    return folder


def two_patients(folder):
    for name in "ab":
        write_dicom_series(
            folder / name,
            AXIAL,
            sample(AXIAL),
            SeriesDescription="FLAIR",
            PatientID=name,
            StudyInstanceUID=generate_uid(),
            SeriesInstanceUID=generate_uid(),
        )
    return folder


def channels(folder):
    folder.mkdir()
    return write_nifti(folder / "two.nii.gz", AXIAL, np.stack([sample(AXIAL)] * 2))


def nan(folder):
    folder.mkdir()
    voxels = sample(AXIAL).astype(np.float32)
    voxels[2, 3, 4] = np.nan
    return write_nifti(folder / "nan.nii.gz", AXIAL, voxels)


def zero_bytes(folder):
    folder.mkdir()
    (folder / "zero.nii").write_bytes(b"")
    return folder / "zero.nii"


def no_image(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    return folder / "notes.txt"


BAD = {
    "an empty folder": (empty_folder, "no image"),
    "a text file named .dcm": (text_as_dicom, "not a DICOM file"),
    "truncated DICOM": (truncated, "cut off"),
    "truncated DICOM header": (truncated_header, "cut off"),
    "a missing slice": (missing_slice, "missing"),
    "two mixed series": (mixed_series, "mixed|orientation|size|differ"),
    "two patients": (two_patients, "stud|patient"),
    "a wrong channel count": (channels, "expected"),
    "NaN voxels": (nan, "NaN"),
    "a 0-byte NIfTI": (zero_bytes, "0 bytes"),
    "no image at all": (no_image, "no known kind|no image"),
    "no such file": (lambda folder: folder, "does not exist"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, what):
    make, message = BAD[what]
    source = make(tmp_path / "input")
    before = sorted(tmp_path.rglob("*"))
    line = refused("predict", source, "--out", tmp_path / "mask.nii.gz")
    assert any(part in line for part in message.split("|")), line
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_parameters_are_one_line_and_leave_nothing(study, tmp_path):
    out = tmp_path / "mask.nii.gz"
    before = sorted(tmp_path.rglob("*"))
    assert "unknown model 'nope'" in refused("predict", study, "--out", out, "--model", "nope")
    assert ".seg.nrrd" in refused("predict", study, "--out", tmp_path / "mask.xyz")
    assert "does not exist" in refused("predict", study, "--out", tmp_path / "no" / "mask.nii")
    assert "1.2.3" in refused("predict", study, "--out", out, "--reference", "1.2.3")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_input_is_not_overwritten(tmp_path):
    path = write_nifti(tmp_path / "image.nii.gz", AXIAL, sample(AXIAL))
    before = path.read_bytes()
    assert "the input itself" in refused("predict", path, "--out", path)
    assert path.read_bytes() == before


def test_a_process_of_its_own_ends_with_2_and_one_line(tmp_path):
    (tmp_path / "text.dcm").write_text("not an image")
    ended = shell("predict", tmp_path / "text.dcm", "--out", tmp_path / "mask.nrrd", "--model", "resunet")
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert ended.stderr.startswith("error: ")
    assert shell("--help").returncode == 0


def test_debug_shows_the_traceback(study, tmp_path):
    result = run("--debug", "predict", study, "--model", "nope", "--out", tmp_path / "m.nrrd")
    assert result.exit_code == 1
    assert "nope" in repr(result.exception)


def test_a_full_disk_is_one_line_and_leaves_nothing(study, tmp_path):
    code = "from tests.support import extra_model\nfrom tumorseg.cli import app\nwith extra_model(): app()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "predict", str(study), "--out", str(tmp_path / "mask.nii")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert ended.returncode == 2, ended.stderr
    assert [line[:7] for line in ended.stderr.splitlines()] == ["error: "]
    assert not list(tmp_path.glob("*mask*"))


class Interrupted(ThresholdModel):
    """Stopped by Ctrl-C while it works."""

    def predict(self, image, *, progress=None):
        raise KeyboardInterrupt


def build_interrupted(weights=None, device="auto"):
    return Interrupted(name="interrupted")


def test_ctrl_c_ends_with_130_and_leaves_nothing(study, tmp_path):
    with extra_model("interrupted", "tests.test_cli:build_interrupted"):
        result = run("predict", study, "--out", tmp_path / "mask.nii")
    assert result.exit_code == 130
    assert "Traceback" not in result.output
    assert not list(tmp_path.glob("*mask*"))


# --- evaluate


def write_kaggle(root, name, bright, true, size=32, slices=4):
    """Write a patient whose FLAIR is bright at ``bright`` (k, j, i) and whose tumour is at ``true``."""
    folder = root / name
    folder.mkdir(parents=True)
    for k in range(slices):
        picture, mask = np.full((size, size, 3), 20, np.uint8), np.zeros((size, size), np.uint8)
        for _, j, i in (voxel for voxel in bright if voxel[0] == k):
            picture[j, i, 1] = 250
        for _, j, i in (voxel for voxel in true if voxel[0] == k):
            mask[j, i] = 255
        tifffile.imwrite(folder / f"{name}_{k + 1}.tif", picture, photometric="rgb")
        tifffile.imwrite(folder / f"{name}_{k + 1}_mask.tif", mask)


@pytest.fixture
def kaggle(tmp_path):
    """Three patients of Dice 1, 0.5 and 0, and a healthy one; threshold 200 as weights of the stand-in."""
    root = tmp_path / "kaggle_3m"
    write_kaggle(root, "TCGA_A_1", [(0, 1, 1), (1, 1, 1)], [(0, 1, 1), (1, 1, 1)])
    write_kaggle(root, "TCGA_B_2", [(0, 1, 1), (3, 5, 5)], [(0, 1, 1), (0, 1, 2)])
    write_kaggle(root, "TCGA_C_3", [], [(2, 9, 9)])
    write_kaggle(root, "TCGA_D_4", [(0, 0, 0)], [])
    (root / "data.csv").write_text("Patient,death01\n")
    (tmp_path / "200").write_text("200")
    return root


@pytest.fixture
def threshold():
    with extra_model() as name:
        yield name


def measured(kaggle, *words):
    result = ok("evaluate", *words, "--data", kaggle, "--weights", kaggle.parent / "200", "--json")
    return json.loads(result.stdout.splitlines()[-1]), result


def test_evaluate_by_hand(kaggle, threshold):
    told, result = measured(kaggle, "threshold")
    assert list(told)[:7] == [
        "model",
        "patients",
        "dice_mean",
        "dice_median",
        "dice_ci",
        "empty_slices",
        "false_positive_slices",
    ]
    assert (told["model"], told["patients"]) == ("threshold", 4)
    assert (told["dice_mean"], told["dice_median"], told["dice_ci"]) == (0.5, 0.5, [0.0, 1.0])
    assert (told["empty_slices"], told["false_positive_slices"]) == (2 + 3 + 3 + 4, 0 + 1 + 0 + 1)
    assert (told["patients_without_tumour"], told["seen_in_training"]) == (1, 0)
    assert len(result.stdout.splitlines()) == 1
    again, _ = measured(kaggle)  # without MODEL: the default one, which is the same here
    assert {**again, "seconds_per_patient": 0} == {**told, "seconds_per_patient": 0}


def test_evaluate_for_people_with_csv_and_figures(kaggle, threshold, tmp_path):
    files = ("--csv", tmp_path / "p.csv", "--figures", tmp_path / "sheets", "--markdown", tmp_path / "t.md")
    result = ok("evaluate", "--data", kaggle, "--weights", tmp_path / "200", *files)
    assert "0.500 [0.000, 1.000]" in result.stdout
    assert "Buda" in result.stdout
    assert "1 patient without any tumour" in result.stderr
    assert (tmp_path / "p.csv").read_text().splitlines()[2].startswith("TCGA_B_2,0.5000,")
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 4
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| 4 | 0.500 [0.000, 1.000] | 0.500 [0.000, 1.000] | 2 / 12 |" in lines[2]


def split_file(path, **subsets):
    path.write_text(json.dumps({"train": [], "validation": [], "test": []} | subsets))
    return path


def test_evaluate_a_subset_of_a_split(kaggle, threshold, tmp_path):
    split = split_file(tmp_path / "s.json", train=["TCGA_A_1"], validation=["TCGA_B_2", "TCGA_X_9"])
    told, result = measured(kaggle, "--split", split, "--subset", "validation")
    assert (told["patients"], told["dice_mean"], told["seen_in_training"]) == (1, 0.5, 0)
    assert "1 of 2 validation patients are not in" in result.stderr
    told, result = measured(kaggle, "--split", split)
    assert (told["patients"], told["seen_in_training"]) == (4, 1)
    assert "warning: 1 of these patients trained the model" in result.stderr
    told, _ = measured(kaggle, "--split", split, "--patient", "TCGA_C_3")
    assert (told["patients"], told["dice_mean"]) == (1, 0.0)


def test_the_split_beside_the_weights_is_the_one_they_were_trained_with(kaggle, threshold, tmp_path):
    split_file(tmp_path / "split.json", train=["TCGA_A_1", "TCGA_C_3"], test=["TCGA_B_2"])
    assert measured(kaggle)[0]["seen_in_training"] == 2
    assert measured(kaggle, "--subset", "test")[0]["patients"] == 1


def test_evaluate_warns_of_patients_that_trained_the_shipped_weights(tmp_path, threshold):
    from tumorseg.training.splits import load_split

    write_kaggle(tmp_path / "k", load_split().train[0], [(0, 0, 0)], [(0, 0, 0)])
    (tmp_path / "200").write_text("200")
    told, result = measured(tmp_path / "k")
    assert told["seen_in_training"] == 1
    assert "warning" in result.stderr


def test_evaluate_nifti_pairs(tmp_path, threshold):
    image = sample(AXIAL)
    write_nifti(tmp_path / "d" / "a.nii.gz", AXIAL, image)
    write_nifti(tmp_path / "d" / "a_mask.nii.gz", AXIAL, (image == TUMOUR).astype(np.uint8))
    (tmp_path / "200").write_text("700")
    told, _ = measured(tmp_path / "d")
    assert (told["patients"], told["dice_mean"], told["hd95_mm_mean"]) == (1, 1.0, 0.0)
    shown = ok("evaluate", "--data", tmp_path / "d", "--weights", tmp_path / "200").stdout
    assert "1.000 [1.000, 1.000]" in shown
    assert "Buda" not in shown  # measured on another task


def test_evaluate_refuses(kaggle, threshold, tmp_path):
    assert "no folder" in refused("evaluate", "--data", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "known layout" in refused("evaluate", "--data", tmp_path / "empty")
    assert "unknown model" in refused("evaluate", "nope", "--data", kaggle)
    assert "unknown subset" in refused("evaluate", "--data", kaggle, "--subset", "some")
    assert "none of the" in refused("evaluate", "--data", kaggle, "--subset", "validation")
    assert "TCGA_X_9" in refused("evaluate", "--data", kaggle, "--patient", "TCGA_X_9")
    assert "both" in refused("evaluate", "--data", kaggle, "--patient", "TCGA_A_1", "--subset", "test")
    assert "no split file" in refused("evaluate", "--data", kaggle, "--split", tmp_path / "no.json")
    assert "does not exist" in refused("evaluate", "--data", kaggle, "--csv", tmp_path / "no" / "p.csv")
    (kaggle / "TCGA_A_1" / "TCGA_A_1_2.tif").write_bytes(b"broken")
    assert "TCGA_A_1_2.tif" in refused("evaluate", "--data", kaggle, "--csv", tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


# --- train, models, serve


def test_train_then_measure_what_was_trained(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(3):
        spots = [(k, int(j), int(i)) for k in (1, 2) for j, i in rng.integers(8, 24, (30, 2))]
        write_kaggle(tmp_path / "k", f"P_{n}", spots, spots)
    words = ("train", "resunet", "--data", tmp_path / "k", "--split", "random", "--minutes", 0.01, "--batch", 2)
    result = ok(*words, "--threads", 1, "--device", "cpu", "--out", tmp_path / "run", "--json")
    told = json.loads(result.stdout.splitlines()[-1])
    assert "epoch 0" in result.stderr
    assert Path(told["weights"]).is_file()
    assert 0 <= told["valid_dice"] <= 1
    measure = ("evaluate", "resunet", "--weights", told["weights"], "--data", tmp_path / "k", "--device", "cpu")
    again = json.loads(ok(*measure, "--subset", "validation", "--json").stdout)
    assert again["patients"] == 1
    assert json.loads(ok(*measure, "--json").stdout)["seen_in_training"] == 2


def test_train_refuses(tmp_path, kaggle):
    assert "no folder" in refused("train", "resunet", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert "unknown model" in refused("train", "nope", "--data", kaggle, "--out", tmp_path / "run")
    assert "nothing to train" in refused("train", "bright", "--data", kaggle, "--out", tmp_path / "run")
    assert "--split random" in refused("train", "resunet", "--data", kaggle, "--out", tmp_path / "run")
    assert "positive" in refused("train", "resunet", "--data", kaggle, "--epochs", 0, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_models_lists_every_entry_and_marks_the_default():
    from tumorseg.registry import CLASSIFIERS, MODELS

    told = json.loads(ok("models", "--json").stdout)
    assert [row["name"] for row in told["models"]] == list(MODELS)
    assert [row["name"] for row in told["classifiers"]] == list(CLASSIFIERS)
    assert all("auc" in row["measured"]["test"] for row in told["classifiers"] if not row["unavailable"])
    assert [row["name"] for row in told["models"] if row["default"]] == ["bright"] == [told["default"]]
    (ours,) = (row for row in told["models"] if row["name"] == "bright")
    assert (ours["channels"], ours["labels"]) == (["FLAIR"], {"tumor": 1})
    text = ok("models").stdout
    assert "bright (default)" in text
    assert all(name in text for name in MODELS)


def test_serve_refuses_before_it_listens(tmp_path):
    assert "STUDIES" in refused("serve")
    assert "got both" in refused("serve", tmp_path, "--demo")
    assert "unknown model" in refused("serve", tmp_path, "--model", "nope")
    assert "nowhere" in refused("serve", tmp_path / "nowhere", "--port", 0)


def test_unreadable_dicom_names_its_file(tmp_path, study):
    broken = sorted(study.iterdir())[0]
    data = pydicom.dcmread(broken)
    del data.PixelData
    data.save_as(broken)
    assert broken.name in refused("predict", study, "--out", tmp_path / "m.nii")

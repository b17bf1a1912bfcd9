"""Which sequence a series is, from words, attributes and times as scanners of several makers write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tumorseg.dicom.channels import classify, classify_words, is_localizer
from tumorseg.dicom.headers import Acquisition, Frame, PixelFormat, SeriesHeader

_PIXELS = PixelFormat("1.2.840.10008.1.2.1", 0, 4, 4, 1, 1, "MONOCHROME2", 16, 16, 15, False)
_FRAME = Frame(Path("f"), 0, "1", _PIXELS)


def header(description: str = "", acquisition: Acquisition | None = None, protocol: str = "") -> SeriesHeader:
    """An MR series of which only this is known."""
    how = acquisition or Acquisition()
    return SeriesHeader("1", "2", "P", "MR", "", "3", description, protocol, 1, how, (_FRAME,))


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("AX T1", "T1"),
        ("SAG T1 SE", "T1"),
        ("T1 posterior fossa", "T1"),
        ("Ax T1 FLAIR", "T1"),
        ("AX T1 W/O", "T1"),
        ("AX T1 W/O GAD", "T1"),
        ("T1 PRE GAD", "T1"),
        ("T1 non-contrast", "T1"),
        ("T1w TSE ohne KM", "T1"),
        ("t1_mprage_nativ", "T1"),
        ("T1 sin contraste", "T1"),
        ("T1prereg", "T1"),
        ("IRSPGR", "T1"),
        ("AX T1 POST", "T1Gd"),
        ("T1post", "T1Gd"),
        ("sag_t1_mprage_post", "T1Gd"),
        ("T1 MPRAGE post", "T1Gd"),
        ("T1_MPRAGE_SAG +C", "T1Gd"),
        ("3D T1 BRAVO C+", "T1Gd"),
        ("AX T1 W/ GAD", "T1Gd"),
        ("AX T1 GD FS", "T1Gd"),
        ("t1_se_tra_KM", "T1Gd"),
        ("T1 con contraste", "T1Gd"),
        ("SE T1 Tra Contrast", "T1Gd"),
        ("AX FLAIR", "FLAIR"),
        ("T2-FLAIR AX", "FLAIR"),
        ("AXIAL FLAIR FS GAD", "FLAIR"),
        ("FLAIR post1", "FLAIR"),
        ("t2_tirm_tra_dark-fluid", "FLAIR"),
        ("AX T2 PROPELLER", "T2"),
        ("t2_space_sag", "T2"),
        ("AX T2* GRE", "other"),
        ("t2 star", "other"),
        ("ep2d_diff_3scan_trace_p2_ADC", "other"),
        ("DWI b1000", "other"),
        ("ADCreg", "other"),
        ("nRCBVreg", "other"),
        ("T1 DCE perfusion", "other"),
        ("dT1", "other"),
        ("T1 SUB", "other"),
        ("T1 map", "other"),
        ("TOF MRA T1", "other"),
        ("SWI", "other"),
        ("STIR COR", "other"),
        ("3-plane localizer", "other"),
        ("Something", "other"),
        ("", "other"),
    ],
)
def test_words(description: str, expected: str) -> None:
    assert classify(header(description)).channel == expected


@pytest.mark.parametrize(
    ("expected", "acquisition"),
    [
        ("T1", Acquisition(14, 400, None, ("SE",))),
        ("T1", Acquisition(2.9, 2300, 900, ("GR", "IR"))),  # MPRAGE
        ("T1", Acquisition(20, 2000, 750, ("SE", "IR"))),  # T1 FLAIR
        ("T1", Acquisition(3, 8, 450, ("GR",))),  # FSPGR
        ("T1Gd", Acquisition(14, 400, None, ("SE",), agent="DOTAREM")),
        ("T1", Acquisition(14, 400, None, ("SE",), agent="NONE")),
        ("T1Gd", Acquisition(14, 400, None, ("SE",), agent_given=True)),
        ("T1", Acquisition(14, 400, None, ("SE",), agent="DOTAREM", agent_given=False)),
        ("FLAIR", Acquisition(165, 10002, 2200, ("SE", "IR"))),
        ("FLAIR", Acquisition(390, 4800, 1650, ("SE", "IR"))),  # three-dimensional at 3 T
        ("T2", Acquisition(90, 3700, None, ("SE",))),
        ("other", Acquisition(20, 700, None, ("GR",))),  # T2*
        ("other", Acquisition(15, 3000, None, ("SE",))),  # proton density
        ("other", Acquisition(30, 4000, 150, ("SE", "IR"))),  # STIR
        ("other", Acquisition(90, 5000, None, ("EP", "SE"))),
        ("other", Acquisition()),
    ],
)
def test_times_alone(expected: str, acquisition: Acquisition) -> None:
    assert classify(header("Axial", acquisition)).channel == expected


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [("T1", "T1"), ("FLUID_ATTENUATED", "FLAIR"), ("T2", "T2"), ("DIFFUSION", "other"), ("T2_STAR", "other")],
)
def test_the_enhanced_attribute(contrast: str, expected: str) -> None:
    assert classify(header("AX", Acquisition(contrast=contrast))).channel == expected


def test_times_decide_between_two_words() -> None:
    """A FLAIR that was planned on the T1 and says both."""
    times = Acquisition(140, 9000, 2500, ("SE", "IR"))
    assert classify(header("FLAIR geometry of T1", times)).channel == "FLAIR"
    assert classify(header("T1 FLAIR", Acquisition(20, 2000, 750, ("SE", "IR")))).channel == "T1"


def test_words_before_an_agent_that_was_typed_in_early() -> None:
    """Scanners carry the agent over into the series before the injection."""
    assert classify(header("AX T1 PRE", Acquisition(agent="GADOVIST"))).channel == "T1"
    assert classify(header("AX T1", Acquisition(agent="GADOVIST"))).channel == "T1Gd"


def test_with_and_without_leaves_it_to_the_agent() -> None:
    assert classify(header("T1 WITH AND WITHOUT CONTRAST")).channel == "T1"
    assert classify(header("T1 WITH AND WITHOUT CONTRAST", Acquisition(agent="Gd"))).channel == "T1Gd"


def test_the_protocol_of_the_whole_examination_does_not_overrule() -> None:
    protocol = "BRAIN W/O + DWI PERFUSION"
    assert classify(header("AX T1 POST", protocol=protocol)).channel == "T1Gd"
    assert classify(header("Axial 4", protocol="t2_tirm_dark-fluid")).channel == "FLAIR"


@pytest.mark.parametrize("image_type", ["ADC", "LOCALIZER", "PROJECTION IMAGE", "P"])
def test_image_types_that_are_no_sequence(image_type: str) -> None:
    how = Acquisition(image_type=("ORIGINAL", "PRIMARY", image_type))
    assert classify(header("T1", how)).channel == "other"


def test_another_modality() -> None:
    from dataclasses import replace

    verdict = classify(replace(header("T1"), modality="CT"))
    assert (verdict.channel, verdict.reason) == ("other", "modality is CT, not MR")


def test_reasons_are_told() -> None:
    verdict = classify(header("AX T1 POST", Acquisition(14, 400, None, ("SE",))))
    assert verdict.reason == "its description says 't1'; TE 14, TR 400 ms weight T1; 'post' says post-contrast"


@pytest.mark.parametrize(("name", "yes"), [("LOC", True), ("AAHScout", True), ("Survey", True), ("local T1", False)])
def test_localizers(name: str, yes: bool) -> None:
    assert is_localizer(header(name)) == yes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BraTS20_001_t1ce", "T1Gd"),
        ("sub-01_T1w", "T1"),
        ("case_flair", "FLAIR"),
        ("t1_post", "T1Gd"),
        ("Post_Scan_T1", "T1"),  # after a treatment, as far as anybody knows
        ("case_seg", "other"),
        ("image", "other"),
    ],
)
def test_file_names(name: str, expected: str) -> None:
    assert classify_words(name) == expected

"""The figures of clicks, by hand: means, clicks to a Dice, gains, and what is read back from files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.evaluation.pages.test_pages import checked
from tumorseg.errors import InputError
from tumorseg.evaluation.interactive.figures import curve, summarise
from tumorseg.evaluation.interactive.lines import clicks_csv, patients_csv, read_clicks
from tumorseg.evaluation.interactive.results import ClickReport, PatientClicks, Step
from tumorseg.evaluation.interactive.stored import HEAD, read_stored, rows, write_clicks
from tumorseg.evaluation.interactive.tables import patient_table, report_json, summary_markdown, summary_table
from tumorseg.evaluation.pages.clicks import clicks_page
from tumorseg.interactive.prompts import Click


def patient(name: str, *dice: float, harmed: int = 0) -> PatientClicks:
    """A patient with these Dice after 0, 1, … clicks of 0.1, 0.2, … s."""
    steps = [Step(None, dice[0])]
    for n, value in enumerate(dice[1:], start=1):
        steps.append(Step(Click((n, 2, 3), n % 2 == 1), value, n / 10, 5 * n, 2, harmed))
    return PatientClicks(name, 20, 1000, 1.5, tuple(steps))


#: Good from the start and perfect after one click; good after two, then worse; never good.
QUICK, FALLS, NEVER = (
    patient("a/quick", 0.9, 1.0),
    patient("falls", 0.5, 0.8, 0.92, 0.86),
    patient("never", 0.0, 0.4, 0.4, 0.6, harmed=1),
)
REPORT = ClickReport("some", "v1", "auto", 3, 0, (QUICK, FALLS, NEVER), 1, 2)


def test_dice_after_clicks_is_the_mean_and_who_is_satisfied_keeps_the_mask() -> None:
    summary = summarise(REPORT)
    assert list(summary.dice_after) == [0, 1, 2, 3]
    assert [one.value for one in summary.dice_after.values()] == pytest.approx(
        [(0.9 + 0.5 + 0) / 3, (1 + 0.8 + 0.4) / 3, (1 + 0.92 + 0.4) / 3, (1 + 0.86 + 0.6) / 3]
    )
    assert [one.value for one in curve(REPORT)] == [one.value for one in summary.dice_after.values()]
    assert all(one.low <= one.value <= one.high for one in summary.dice_after.values())


def test_clicks_to_a_dice_count_0_for_a_good_start_and_the_limit_for_failures() -> None:
    noc = summarise(REPORT).noc
    assert noc[0.85].clicks.value == pytest.approx((0 + 2 + 3) / 3)
    assert noc[0.90].clicks.value == pytest.approx((0 + 2 + 3) / 3)  # reached, though lost again after the next click
    assert (noc[0.85].failures, noc[0.90].failures) == (1, 1)
    assert FALLS.clicks_to(0.92) == 2
    assert FALLS.clicks_to(0.93) is None


def test_what_a_click_brings_is_of_those_who_made_it() -> None:
    summary = summarise(REPORT)
    assert {n: count for n, (_, count) in summary.gains.items()} == {1: 3, 2: 2, 3: 2}
    assert [gain.value for gain, _ in summary.gains.values()] == pytest.approx(
        [(0.1 + 0.3 + 0.4) / 3, (0.12 + 0) / 2, (-0.06 + 0.2) / 2]
    )
    assert summary.clicks == 7
    assert summary.lowered.value == pytest.approx(1 / 7)  # one fell; one stayed as it was, which is no loss
    assert (summary.elsewhere, summary.harmed) == (14, 3)
    assert summary.median_s == pytest.approx(0.2)
    assert summary.encode_s == 1.5


def test_the_json_begins_with_what_machines_look_for() -> None:
    told = report_json(REPORT, summarise(REPORT), subset="validation", seen_in_training=0)
    assert list(told)[:5] == ["patients", "dice_after", "noc85", "noc90", "model"]
    assert list(told["dice_after"]) == ["0", "1", "2", "3"]
    assert (told["patients"], told["noc85_failures"], told["noc_limit"]) == (3, 1, 3)
    assert told["dice_after_ci"]["0"] == [0.0, 0.9]
    assert (told["lesions_elsewhere"], told["lesions_harmed_elsewhere"]) == (14, 3)
    json.dumps(told, allow_nan=False)


def test_nobody_had_to_click() -> None:
    report = ClickReport("some", "v1", "auto", 20, 0, (patient("perfect", 1.0),))
    told = report_json(report, summarise(report))
    assert (told["clicks"], told["lowered"], told["click_s_median"], told["gain"]) == (0, None, None, {})
    assert list(told["dice_after"]) == ["0", "1", "2", "3", "5", "10", "20"]
    assert b"| a click, median (95th percentile) | - |" in summary_markdown(report, summarise(report))


def test_a_line_for_each_patient() -> None:
    lines = list(csv.DictReader(io.StringIO(patients_csv(REPORT).decode())))
    assert [line["patient"] for line in lines] == ["a/quick", "falls", "never"]
    assert [line["noc85"] for line in lines] == ["0", "2", ""]
    assert (lines[0]["clicks"], lines[0]["dice_3"], lines[1]["dice_3"]) == ("1", "1.0000", "0.8600")


def test_the_line_of_each_click_is_read_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(clicks_csv(REPORT))
    assert read_clicks(tmp_path / "c.csv") == REPORT.rows
    (tmp_path / "p.csv").write_bytes(patients_csv(REPORT))
    with pytest.raises(InputError, match=r"the columns .*dice.* are not there"):
        read_clicks(tmp_path / "p.csv")


def test_stored_results_give_the_same_figures_and_two_starts_lie_side_by_side(tmp_path: Path) -> None:
    told = report_json(REPORT, summarise(REPORT), subset="validation")
    files = write_clicks(tmp_path / "s", told, REPORT)
    other = ClickReport("some", "v1", "nothing", 3, 0, (FALLS,))
    files += write_clicks(tmp_path / "s", report_json(other, summarise(other)), other)
    assert sorted(path.name for path in files) == [
        "some-all-nothing.clicks.csv",
        "some-all-nothing.csv",
        "some-all-nothing.json",
        "some-validation-auto.clicks.csv",
        "some-validation-auto.csv",
        "some-validation-auto.json",
    ]
    stored = read_stored(tmp_path / "s")
    assert [(one.subset, one.report) for one in stored] == [("all", other), ("validation", REPORT)]
    assert summarise(stored[1].report) == summarise(REPORT)
    line = dict(zip(HEAD, rows(stored)[1], strict=True))
    assert (line[""], line["begins with"], line["patients"]) == ("`some`, validation", "auto", "3")
    assert line["clicks to 0.90"] == "1.7 [0.0, 3.0], 1 of 3 never"
    assert (line["Dice after 0"], line["Dice after 10"]) == ("0.467 [0.000, 0.900]", "–")
    assert read_stored(tmp_path / "nowhere") == []


def test_another_kind_of_result_is_not_taken_for_clicks(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"kind": "segmentation"}')
    with pytest.raises(InputError, match="expected the kind interactive, got 'segmentation'"):
        read_stored(tmp_path)


def test_for_people() -> None:
    from rich.console import Console

    summary = summarise(REPORT)
    console = Console(width=160, file=io.StringIO())
    console.print(patient_table(REPORT), summary_table(REPORT, summary, "of some"))
    text = console.file.getvalue()
    assert text.index("never") < text.index("falls") < text.index("a/quick")  # the worst first
    assert "1.7 [0.0, 3.0], 1 of 3 never" in text
    assert "| lesions elsewhere that a click harmed | 3 of 14 |" in summary_markdown(REPORT, summary).decode()


def test_the_page() -> None:
    page = clicks_page(REPORT, summarise(REPORT), "validation", 2)
    checked(page)
    text = page.decode()
    assert text.count("<svg") == 2
    assert "2 of these patients trained the model" in text
    assert "1 of 3 patients never get there" in text
    assert "a/quick" in text

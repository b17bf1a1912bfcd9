"""Champion and challenger: who may serve, on which patients, and what people are told."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest

from tumorseg.errors import InputError
from tumorseg.training.challenge import decide

CHAMPION = {f"p{number}": 0.70 + 0.02 * (number % 5) for number in range(20)}


def _changed(by: float, spread: float = 0.0, seed: int = 1) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return {patient: float(np.clip(dice + by + spread * rng.normal(), 0, 1)) for patient, dice in CHAMPION.items()}


def test_a_poisoned_candidate_is_refused() -> None:
    verdict = decide(CHAMPION, dict.fromkeys(CHAMPION, 0.02))
    assert not verdict.publish
    assert verdict.high < -0.5
    assert verdict.why.startswith("refused: Dice changes by -0.7")
    assert "20 validation patients" in verdict.why
    assert "\n" not in verdict.why


def test_a_better_one_is_published_with_its_figures() -> None:
    verdict = decide(CHAMPION, _changed(0.05))
    assert verdict.publish
    assert (verdict.difference, verdict.low, verdict.high) == pytest.approx((0.05, 0.05, 0.05))
    assert verdict.patients == 20
    assert verdict.why.startswith("published: Dice changes by +0.050 (95% interval +0.050 to +0.050)")


def test_an_equal_one_and_one_slightly_worse_are_published() -> None:
    assert decide(CHAMPION, CHAMPION).publish
    assert decide(CHAMPION, CHAMPION, margin=0.001).publish
    assert decide(CHAMPION, _changed(-0.01)).publish
    assert not decide(CHAMPION, _changed(-0.01), margin=0.005).publish


def test_a_loss_of_just_the_margin_is_refused() -> None:
    assert not decide({"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.25}, margin=0.25).publish
    assert not decide(CHAMPION, CHAMPION, margin=0).publish


def test_a_better_mean_that_may_hide_a_loss_is_refused() -> None:
    """Few patients of which one gains all: the mean alone would publish."""
    verdict = decide({"a": 0.6, "b": 0.6, "c": 0.6}, {"a": 0.55, "b": 0.55, "c": 0.9})
    assert verdict.difference > 0
    assert not verdict.publish
    assert "not ruled out" in verdict.why


def test_pairing_sees_what_the_spread_over_patients_hides() -> None:
    rng = np.random.default_rng(0)
    champion = {f"p{number}": float(dice) for number, dice in enumerate(rng.uniform(0.1, 0.9, 12))}
    assert decide(champion, {patient: dice - 0.01 for patient, dice in champion.items()}).publish
    assert not decide(champion, {patient: dice - 0.03 for patient, dice in champion.items()}).publish


def test_one_patient_has_no_interval_and_rules_nothing_out() -> None:
    better, equal, worse = (decide({"a": 0.5}, {"a": dice}) for dice in (0.6, 0.5, 0.495))
    assert (better.publish, equal.publish, worse.publish) == (True, True, False)
    assert isnan(better.low)
    assert isnan(better.high)
    assert better.why == (
        "published: Dice changes by +0.100 on 1 validation patient; it is not worse on the one patient, which rules "
        "nothing out"
    )
    assert not [verdict.why for verdict in (better, equal, worse) if "ruled out" in verdict.why]
    assert not better.better, "one patient is no proof"


def test_a_new_site_sees_its_first_improvements_although_few_patients_prove_little() -> None:
    """Student's interval of two or three patients is so wide that it would refuse nearly everything."""
    old = {"a": 0.4, "b": 0.5, "c": 0.6}
    verdict = decide(old, {"a": 0.8, "b": 0.55, "c": 0.6})
    assert verdict.publish
    assert verdict.low < -0.2
    assert verdict.why.endswith("none of the 3 is worse, but so few rule nothing out")
    refused = decide(old, {"a": 0.8, "b": 0.55, "c": 0.595})
    assert not refused.publish
    assert refused.why.endswith("a loss of more than 0.02 is not ruled out")
    assert decide(old, {patient: dice - 0.01 for patient, dice in old.items()}).publish, "all of them lose a little"
    assert not decide({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.49}).publish
    assert decide({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.5}).publish
    assert not decide({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}, margin=0).publish


@pytest.mark.parametrize("patients", [3, 4, 5])
def test_few_patients_do_not_let_a_loss_of_the_margin_pass(patients: int) -> None:
    """The percentile bootstrap alone publishes 8 to 9 % of these, where it says 2.5 %."""
    rng = np.random.default_rng(patients)
    gains = rng.normal(-0.02, 0.03, (400, patients))
    champion = {str(number): 0.8 for number in range(patients)}
    verdicts = [decide(champion, {str(number): 0.8 + gain for number, gain in enumerate(each)}) for each in gains]
    assert np.mean([verdict.publish for verdict in verdicts]) < 0.05


def test_better_for_sure_is_more_than_not_worse() -> None:
    assert decide(CHAMPION, _changed(0.05)).better
    assert not decide(CHAMPION, _changed(-0.01)).better
    assert decide({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.51}).better
    assert not decide({"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.5}).better
    assert decide({}, {"a": 0.5}).better
    shown = {patient: dice - 0.5 for patient, dice in CHAMPION.items()}
    assert not decide(CHAMPION, _changed(0.05), lesions=(shown, shown)).better


def test_nan_counts_as_the_worst() -> None:
    failed = {**CHAMPION, **dict.fromkeys(list(CHAMPION)[:5], nan)}
    assert not decide(CHAMPION, failed).publish
    assert decide(failed, CHAMPION).publish
    assert decide({"a": nan}, {"a": nan}).difference == 0


def test_no_validation_patient_publishes_nothing_and_says_what_to_do() -> None:
    verdict = decide({}, {})
    assert not verdict.publish
    assert (verdict.patients, isnan(verdict.difference), isnan(verdict.low)) == (0, True, True)
    assert "label a second patient" in verdict.why


def test_where_nothing_served_whatever_finds_something_is_published() -> None:
    first = decide({}, {"a": 0.2, "b": 0.0})
    assert first.publish
    assert first.difference == pytest.approx(0.1)
    assert "nothing served before" in first.why
    assert not decide({}, {"a": 0.0, "b": nan}).publish


def test_different_patients_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="'b' is only in one of them"):
        decide({"a": 0.5}, {"a": 0.5, "b": 0.6})
    with pytest.raises(InputError, match="same patients"):
        decide({"a": 0.5}, {"b": 0.5})
    with pytest.raises(InputError, match="no figure of it"):
        decide({"a": 0.5}, {})


@pytest.mark.parametrize("value", [-0.1, 1.5, float("inf")])
def test_what_is_no_dice_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="Dice in"):
        decide({"a": 0.5}, {"a": value})


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": nan}, {"level": 1.0}, {"level": 0.0}])
def test_margins_and_levels_that_are_none_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="margin"):
        decide({"a": 0.5}, {"a": 0.5}, **options)  # type: ignore[arg-type]


def test_wrong_new_labels_cannot_win_by_agreeing_with_themselves() -> None:
    """Most validation labels are new and inverted, as what trained the candidate; the settled ones tell."""
    settled = list(CHAMPION)[:4]
    candidate = {patient: 0.05 if patient in settled else 0.95 for patient in CHAMPION}
    champion = {patient: dice if patient in settled else 0.05 for patient, dice in CHAMPION.items()}
    assert decide(champion, candidate).publish
    verdict = decide(champion, candidate, settled=settled)
    assert not verdict.publish
    assert verdict.patients == 20
    assert "on those whose labels stood before (4); on those whose labels stood before a loss" in verdict.why


def test_wrong_lesions_cannot_hide_behind_the_images_without_one() -> None:
    """Whose labels stood before have four images without a lesion each, and gain there more than they lose."""
    settled = list(CHAMPION)[:4]
    lesion = {patient: 0.2 if patient in settled else 0.95 for patient in CHAMPION}
    before = {patient: 0.8 if patient in settled else 0.3 for patient in CHAMPION}
    champion, candidate = (
        {who: (one[who] + 4 * other) / 5 for who in one} for one, other in ((before, 0.5), (lesion, 1))
    )
    assert decide(champion, candidate, settled=settled).publish
    verdict = decide(champion, candidate, lesions=(before, lesion), settled=settled)
    assert not verdict.publish
    assert verdict.why.endswith(
        "; on lesions on those whose labels stood before a loss of more than 0.02 is not ruled out"
    )


def test_one_settled_patient_that_lost_nearly_nothing_is_no_objection() -> None:
    candidate = {**_changed(0.05), "p0": CHAMPION["p0"] - 0.005}
    assert decide(CHAMPION, candidate, settled=["p0"]).publish
    refused = decide(CHAMPION, {**candidate, "p0": CHAMPION["p0"] - 0.03}, settled=["p0"])
    assert not refused.publish
    assert "on those whose labels stood before the one patient speaks against it" in refused.why


def test_settled_patients_that_agree_let_it_pass() -> None:
    verdict = decide(CHAMPION, _changed(0.03), settled=[*list(CHAMPION)[:4], "not measured"])
    assert verdict.publish
    assert "whose labels stood before" in verdict.why
    alone = decide(CHAMPION, _changed(0.03), settled=["not measured"])
    assert alone.publish
    assert "stood before" not in alone.why
    assert "stood before" not in decide(CHAMPION, _changed(0.03), settled=CHAMPION).why


def test_a_model_that_finds_nothing_cannot_win_on_those_who_have_nothing() -> None:
    """Dice of an empty answer is 1 where nothing is to be found, and that of one speck there is 0."""
    without = {f"healthy{number}": 0.0 for number in range(20)}
    champion, candidate = {**CHAMPION, **without}, {**dict.fromkeys(CHAMPION, 0.0), **dict.fromkeys(without, 1.0)}
    few = list(CHAMPION)[:3]
    champion, candidate = ({name: figures[name] for name in (*few, *without)} for figures in (champion, candidate))
    assert decide(champion, candidate).publish
    old, new = ({name: figures[name] for name in few} for figures in (champion, candidate))
    verdict = decide(champion, candidate, lesions=(old, new))
    assert not verdict.publish
    assert "on lesions (3); on lesions a loss" in verdict.why
    assert decide(champion, {**champion, **dict.fromkeys(without, 1.0)}, lesions=(old, old)).publish


def test_a_model_that_finds_nothing_cannot_win_on_the_other_images_of_the_same_patients() -> None:
    """One image with a lesion and four without: over all of them it has a mean of 0.8."""
    lesion, blank = dict.fromkeys(CHAMPION, 0.35), dict.fromkeys(CHAMPION, 0.0)
    champion, candidate = (
        {who: (one[who] + 4 * other) / 5 for who in one} for one, other in ((lesion, 0.5), (blank, 1))
    )
    assert decide(champion, candidate).publish
    verdict = decide(champion, candidate, lesions=(lesion, blank))
    assert not verdict.publish
    assert "by -0.350" in verdict.why
    assert not decide({}, candidate, lesions=({}, blank)).publish


def test_who_has_a_lesion_must_be_the_same_for_both() -> None:
    with pytest.raises(InputError, match="'b' is only in one of them"):
        decide({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}, lesions=({"a": 0.5}, {"a": 0.5, "b": 0.5}))


@pytest.mark.parametrize("champion", [{}, {"a": 0.0, "b": 0.0}])
def test_where_nobody_has_a_lesion_nothing_can_be_told(champion: dict[str, float]) -> None:
    verdict = decide(champion, {"a": 1.0, "b": 1.0}, lesions=({}, {}))
    assert not verdict.publish
    assert "no validation patient has a lesion" in verdict.why


def test_on_the_first_day_too_finding_nothing_where_there_is_nothing_is_no_merit() -> None:
    assert not decide({}, {"healthy": 1.0, "a": 0.0}, lesions=({}, {"a": 0.0})).publish
    assert decide({}, {"healthy": 1.0, "a": 0.1}, lesions=({}, {"a": 0.1})).publish


def test_the_same_figures_give_the_same_verdict_in_any_order() -> None:
    candidate = _changed(0.0, spread=0.05)
    turned = dict(reversed(candidate.items()))
    assert decide(CHAMPION, candidate) == decide(CHAMPION, turned)
    assert decide(CHAMPION, candidate, seed=1).low != decide(CHAMPION, candidate, seed=2).low


def test_a_higher_level_asks_for_more() -> None:
    candidate = _changed(0.0, spread=0.05)
    low = [decide(CHAMPION, candidate, level=level).low for level in (0.5, 0.95, 0.999)]
    assert low == sorted(low, reverse=True)
    assert len(set(low)) == 3

"""The loop as a whole: paired, repeatable, resumable, and nobody measured on who was trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.active_learning.simulation.small import SETTINGS, patients
from tumorseg.active_learning.simulation import trajectory
from tumorseg.active_learning.simulation.learner import Learner, training_seed
from tumorseg.active_learning.simulation.plot import plot
from tumorseg.active_learning.simulation.records import Record, Records
from tumorseg.active_learning.simulation.settings import BASELINE, Settings
from tumorseg.active_learning.simulation.study import checked, simulate, simulated
from tumorseg.active_learning.simulation.summary import choose_default, summarise
from tumorseg.active_learning.simulation.tables import markdown
from tumorseg.active_learning.simulation.trajectory import FULL, Pool
from tumorseg.active_learning.types import FOREGROUND
from tumorseg.errors import InputError
from tumorseg.networks.tiny import TinyUNet
from tumorseg.registry import STRATEGIES


def rounds(records: Records, name: str, seed: int = 0, settings: Settings = SETTINGS) -> list[Record]:
    found = [records.get(name, seed, round_) for round_ in range(settings.rounds)]
    return [record for record in found if record is not None]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Records:
    names = checked(["clasp_pe", "bald"])
    return simulate(names, [0, 1], SETTINGS, patients(), tmp_path_factory.mktemp("study"))


def test_every_strategy_that_a_segmentation_can_serve_runs(tmp_path: Path) -> None:
    assert set(STRATEGIES) - set(simulated()) == {"detection_score", "localisation"}
    records = simulate(simulated(), [0], replace(SETTINGS, rounds=2), patients(), tmp_path)
    for name in simulated():
        first, last = rounds(records, name)
        assert len(set(first.chosen)) == SETTINGS.batch
        assert last.units == first.units + SETTINGS.batch
        assert last.chosen == ()


def test_all_strategies_begin_alike(done: Records) -> None:
    firsts = [rounds(done, name)[0].dice for name in (BASELINE, "clasp_pe", "bald")]
    assert firsts[0] == firsts[1] == firsts[2]
    assert rounds(done, BASELINE, 0)[0].dice != rounds(done, BASELINE, 1)[0].dice


def test_nothing_is_labelled_twice_and_nobody_held_out_is_labelled(done: Records) -> None:
    cases = patients()
    for name in (BASELINE, "clasp_pe", "bald"):
        found = [*Pool(cases.pool, SETTINGS).start(0), *(item for r in rounds(done, name) for item in r.chosen)]
        assert len(found) == len(set(found)) == SETTINGS.start + 2 * SETTINGS.batch
        assert not {patient for patient, _ in found} & {v.id for v in cases.held_out}
        last = rounds(done, name)[-1]
        assert (last.units, last.slices) == (len(found), len(found))
        assert last.patients == len({patient for patient, _ in found})


def test_the_same_seed_gives_the_same_again(done: Records, tmp_path: Path) -> None:
    again = simulate([BASELINE, "bald"], [1], SETTINGS, patients(), tmp_path)
    for name in (BASELINE, "bald"):
        for a, b in zip(rounds(done, name, 1), rounds(again, name, 1), strict=True):
            assert (a.dice, a.chosen) == (b.dice, b.chosen)


def test_a_stopped_simulation_goes_on_where_it_was(
    done: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[int] = []
    fit = Learner.fit

    def counted(self: Learner, *given: object, **named: object) -> object:
        fits.append(1)
        if len(fits) == 5:
            raise KeyboardInterrupt
        return fit(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        simulate([BASELINE, "bald"], [0], SETTINGS, patients(), tmp_path)
    records = simulate([BASELINE, "bald"], [0], SETTINGS, patients(), tmp_path)
    assert len(fits) == 6 + 1  # 1 full, the start that both share and 2 x 2 rounds, and the one that was stopped
    for name in (BASELINE, "bald"):
        assert [r.chosen for r in rounds(records, name)] == [r.chosen for r in rounds(done, name)]
        assert [r.dice for r in rounds(records, name)] == [r.dice for r in rounds(done, name)]
    simulate([BASELINE, "bald"], [0], SETTINGS, patients(), tmp_path)
    assert len(fits) == 7  # all is there: nothing is done again


def test_several_processes_do_the_same_work(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    records = simulate(
        [BASELINE],
        [0, 1],
        replace(SETTINGS, rounds=2),
        patients(),
        tmp_path,
        workers=2,
        progress=lambda *s: told.append(s),
    )
    assert [len(rounds(records, BASELINE, seed)) for seed in (0, 1)] == [2, 2]
    assert told[-1] == (6, 6)


def test_a_fault_in_another_process_arrives(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="units to start with"):
        simulate([BASELINE], [0], replace(SETTINGS, start=10_000), patients(), tmp_path, workers=2)


def test_whole_cases_label_all_their_slices(tmp_path: Path) -> None:
    settings = replace(SETTINGS, unit="case", start=2, batch=1, rounds=2)
    records = simulate([BASELINE, "hybrid", "coreset"], [0], settings, patients(), tmp_path)
    for name in ("hybrid", "coreset"):
        first, last = rounds(records, name, settings=settings)
        assert (first.patients, first.slices, last.patients, last.slices) == (2, 24, 3, 36)
        assert [index for _, index in first.chosen] == [trajectory.CASE]


def test_the_training_on_everything_labels_everything(done: Records) -> None:
    record = done.get(FULL, 0, 0)
    assert record is not None
    assert (record.patients, record.slices) == (5, 60)


def test_a_pool_that_would_be_used_up_is_refused_before_the_first_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "fit", lambda *given, **named: pytest.fail("a training began"))
    with pytest.raises(InputError, match=r"at least 64 slices .* last of 3 rounds; got 60: take --rounds 2"):
        simulate([BASELINE], [0], replace(SETTINGS, batch=30), patients(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_lies_complete_beside_what_was_asked_for_is_known(done: Records) -> None:
    """So that the correction for many comparisons knows of all of them."""
    assert done.complete(simulated(), [0, 1], SETTINGS.rounds) == [BASELINE, "bald", "clasp_pe"]
    assert done.complete(simulated(), [0, 1, 2], SETTINGS.rounds) == []


def test_a_network_with_dropout_trains_alike_whatever_was_drawn_before() -> None:
    learner, volumes = Learner(SETTINGS), patients().pool
    learner.network = lambda: nn.Sequential(nn.Dropout2d(0.5), TinyUNet())  # type: ignore[assignment]
    one = learner.fit(volumes[:2], volumes[2:3], 1)[1]
    torch.rand(3)
    assert learner.fit(volumes[:2], volumes[2:3], 1)[1] == one


def test_training_is_seeded_by_seed_and_round_alone() -> None:
    assert training_seed(1, 2) == training_seed(1, 2)
    assert len({training_seed(seed, round_) for seed in range(5) for round_ in range(5)}) == 25


def test_only_the_baseline_is_told_the_truth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, np.ndarray] = {}
    select = trajectory.Strategy.select

    def spied(self: trajectory.Strategy, candidates: trajectory.Candidates, k: int, rng: np.random.Generator) -> object:
        if candidates.embeddings is not None or FOREGROUND in candidates.scores:
            seen[self.name] = np.array(candidates.scores.get(FOREGROUND, []))
        return select(self, candidates, k, rng)

    monkeypatch.setattr(trajectory.Strategy, "select", spied)
    simulate([BASELINE, "clasp_pe"], [0], replace(SETTINGS, rounds=2), patients(), tmp_path)
    assert set(np.unique(seen[BASELINE])) == {0.0, 1.0}
    assert not set(np.unique(seen["clasp_pe"])) <= {0.0, 1.0} or not seen["clasp_pe"].any()


def test_a_strategy_for_detectors_and_a_model_of_several_slices_are_refused() -> None:
    with pytest.raises(InputError, match="detector"):
        checked(["localisation"])
    with pytest.raises(InputError, match="sees 3 slices"):
        Learner(replace(SETTINGS, model="resunet25d"))
    with pytest.raises(InputError, match="multiples of 32"):
        Learner(replace(SETTINGS, model="fcn32s"))


def test_the_published_network_goes_through_the_same_loop(tmp_path: Path) -> None:
    settings = replace(SETTINGS, model="resunet", rounds=2, steps=1)
    records = simulate([BASELINE, "coreset"], [0], settings, patients(), tmp_path)
    assert len(rounds(records, "coreset", settings=settings)) == 2


def made_up(folder: Path, gains: dict[str, list[float]], settings: Settings) -> Records:
    """Records of ten patients whose Dice rises from 0.5 to 0.7, plus ``gains[name][seed]`` after the first round."""
    records = Records(folder, settings, "d")
    for name, gain in gains.items():
        for seed, more in enumerate(gain):
            for round_ in range(settings.rounds):
                score = 0.5 + 0.2 * round_ / (settings.rounds - 1) + (more if round_ else 0.0)
                units = settings.start + round_ * settings.batch
                dice = {f"p{n}": score + 0.01 * n for n in range(10)}
                records.put(name, seed, round_, Record(round_ + 1, units, units, dice, (), 0.0))
    for seed in range(len(gains[BASELINE])):
        records.put(FULL, seed, 0, Record(40, 1000, 1000, {f"p{n}": 0.8 for n in range(10)}, (), 0.0))
    return records


SIX = replace(SETTINGS, rounds=6, start=10, batch=10)


def test_a_strategy_that_is_better_with_every_seed_becomes_the_default(tmp_path: Path) -> None:
    gains = {
        BASELINE: [0.0] * 5,
        "random": [-0.05, -0.04, -0.05, -0.06, -0.05],
        "hybrid": [0.03, 0.031, 0.029, 0.03, 0.032],
    }
    summary = summarise(made_up(tmp_path, gains, SIX), list(gains), range(5), SIX, "d")
    assert (summary.default, summary.significant) == ("hybrid", True)
    told = summary.as_json()
    assert list(told["strategies"]) == ["hybrid", BASELINE, "random"]
    assert told["strategies"]["hybrid"]["gain"] == pytest.approx(0.0274, abs=1e-3)
    assert told["strategies"]["random"]["p"] == 1.0
    # 0.745 + 0.03 = 95 % of 0.8 is 0.76: 0.545 + 0.03 + 0.04 a round crosses it in the last interval
    assert told["strategies"]["hybrid"]["labels_for_95"] == pytest.approx(56.0, abs=1.0)
    assert told["strategies"][BASELINE]["labels_for_95"] is None
    assert (told["default"], told["seeds"]) == ("hybrid", 5)
    json.dumps(told, allow_nan=False)


def test_a_strategy_that_is_better_by_luck_does_not(tmp_path: Path) -> None:
    gains = {BASELINE: [0.0] * 5, "random": [-0.01] * 5, "hybrid": [0.2, -0.1, 0.15, -0.08, 0.02]}
    summary = summarise(made_up(tmp_path, gains, SIX), list(gains), range(5), SIX, "d")
    assert summary.outcomes[0].name == "hybrid"
    assert (summary.default, summary.significant) == ("random", False)
    assert "No strategy is better" in markdown(summary.as_json())


def test_a_baseline_that_is_told_the_truth_is_never_the_default(tmp_path: Path) -> None:
    gains = {BASELINE: [0.0] * 3, "random": [-0.01, -0.001, -0.02]}
    summary = summarise(made_up(tmp_path, gains, SIX), list(gains), range(3), SIX, "d")
    assert (summary.default, summary.significant) == ("random", False)
    assert choose_default(summary.outcomes) == ("random", False)


def test_a_training_on_everything_that_was_too_short_is_pointed_out(tmp_path: Path) -> None:
    for name, more, said in (("good", 0.0, False), ("short", 0.2, True)):
        gains = {BASELINE: [more, more]}
        page = markdown(summarise(made_up(tmp_path / name, gains, SIX), [BASELINE], [0, 1], SIX, "d").as_json())
        assert ("too few" in page) is said


def test_one_seed_proves_nothing(tmp_path: Path) -> None:
    gains = {BASELINE: [0.0], "hybrid": [0.3]}
    summary = summarise(made_up(tmp_path, gains, SIX), list(gains), [0], SIX, "d")
    assert (summary.default, summary.significant) == ("random", False)


def test_a_missing_round_is_named(tmp_path: Path) -> None:
    records = made_up(tmp_path, {BASELINE: [0.0]}, SIX)
    with pytest.raises(InputError, match="expected 6 rounds"):
        summarise(records, [BASELINE], [0, 1], SIX, "d")


def test_table_and_plot_are_made_of_it(done: Records) -> None:
    summary = summarise(done, [BASELINE, "clasp_pe", "bald"], [0, 1], SETTINGS, "small")
    page = markdown(json.loads(json.dumps(summary.as_json())))
    assert page.count("| `") == 3
    assert summary.default in page
    assert plot(summary).startswith(b"\x89PNG")


WARM = replace(SETTINGS, warm=True, growth=2.0)


def test_a_warm_loop_goes_on_from_the_network_before_and_labels_ever_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[bool, int]] = []
    fit = Learner.fit

    def seen(self: Learner, *given: object, **named: object) -> object:
        begun.append((named["start"] is not None, named["steps"]))  # type: ignore[arg-type]
        return fit(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "fit", seen)
    records = simulate([BASELINE], [0], WARM, patients(), tmp_path)
    assert begun == [(False, 6), (False, 2), (True, 2), (True, 2)]  # everything, then the rounds
    units = [r.units for r in rounds(records, BASELINE, settings=WARM)]
    assert units == [4, 4 + 3, 4 + 3 + 6]


def test_a_warm_loop_whose_networks_were_lost_comes_to_the_same(tmp_path: Path) -> None:
    whole = simulate([BASELINE], [0], WARM, patients(), tmp_path / "whole")
    simulate([BASELINE], [0], WARM, patients(), tmp_path / "cut")
    for gone in ("round-02.json", "round-01.safetensors"):
        (tmp_path / "cut" / BASELINE / "seed-0" / gone).unlink(missing_ok=True)
    again = simulate([BASELINE], [0], WARM, patients(), tmp_path / "cut")
    assert rounds(again, BASELINE, settings=WARM)[-1].dice == rounds(whole, BASELINE, settings=WARM)[-1].dice
    assert not list((tmp_path / "cut" / BASELINE).rglob("*.safetensors"))  # nobody needs them any more

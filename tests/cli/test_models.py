"""``tumorseg models``: the versions of a model, everything about one, and the way back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tumorseg.audit.read import Wanted
from tumorseg.audit.read import records as read_records
from tumorseg.cli import app, model_versions
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import SHIPPED, CaseUsed, Status, VersionCard

CASES = (
    CaseUsed("image1", "patient1", "train", "uid1", "ab" * 32),
    CaseUsed("image2", "patient1", "train", "uid2", "cd" * 32),
    CaseUsed("image3", "patient2", "validation", "uid3", "ef" * 32),
)
MEASURED = {
    "champion": {"mean": 0.701},
    "candidate": {"mean": 0.752},
    "difference": 0.051,
    "low": 0.012,
    "high": 0.09,
    "patients": 1,
}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUMORSEG_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["models", *words], input=typed)


def ok(*words: str) -> Result:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done


def refused(*words: str) -> str:
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    return line


def told(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ok(*words, "--json").stdout)
    return found


def add(state: Path, content: bytes, status: Status = "published", model: str = "unet") -> VersionCard:
    """Publish or refuse a version, with the figures and cases that a training puts on the card."""
    store, digest = VersionStore(state / "weights"), hashlib.sha256(content).hexdigest()
    card = VersionCard(
        id=store.new_id(model, digest),
        model=model,
        sha256=digest,
        made_at="2026-11-21T12:34:56+00:00",
        made_by="ann",
        how="trained",
        parent=store.serving(model),
        status=status,
        cases=CASES,
        measured=MEASURED,
        why=f"{status}: Dice changes",
    )
    if status == "refused":
        return store.refuse(card)
    state.mkdir(parents=True, exist_ok=True)
    (state / "sent").write_bytes(content)
    return store.publish(card, state / "sent")


def test_versions_are_listed_with_what_served_and_why(state: Path) -> None:
    one, two, bad = add(state, b"one"), add(state, b"two"), add(state, b"bad", "refused")
    said = told("versions", "unet")
    assert (said["model"], said["serving"]) == ("unet", two.id)
    assert [row["id"] for row in said["versions"]] == [bad.id, two.id, one.id]
    assert [row["serving"] for row in said["versions"]] == [False, True, False]
    assert said["versions"][1]["patients"] == {"train": 1, "validation": 1}
    assert said["versions"][1]["measured"] == MEASURED
    text = ok("versions", "unet").stdout
    assert f"{two.id} (serving)" in text
    words = " ".join(text.replace("│", " ").split())
    for shown in ("2026-11-21 12:34", "0.701 -> 0.752", "(+0.012 to +0.090)", "refused: Dice", "1 validation"):
        assert shown in words
    assert text.index(bad.id) < text.index(two.id) < text.index(one.id)


def test_a_model_without_versions_uses_what_comes_with_it(state: Path) -> None:
    assert told("versions", "unet") == {"model": "unet", "serving": SHIPPED, "versions": []}
    assert "unet: what comes with it serves" in ok("versions", "unet").stderr
    assert not state.exists()


def test_a_model_that_is_none_is_refused_and_one_of_the_site_is_known(state: Path) -> None:
    assert "no model 'ours'" in refused("versions", "ours")
    add(state, b"one", model="ours")
    assert told("versions", "ours")["versions"]
    assert "no model '../x'" in refused("versions", "../x")


def test_a_card_is_shown_whole_with_the_labels_it_was_made_of(state: Path) -> None:
    one = add(state, b"one")
    said = told("show", "unet", one.id)
    assert said["serving"] is True
    assert [case["label"] for case in said["cases"]] == ["uid1", "uid2", "uid3"]
    assert (said["sha256"], said["measured"]) == (one.sha256, MEASURED)
    text = ok("show", "unet", one.id).stdout
    assert "the 3 labels that it was made of" in text
    assert all(case.image in text for case in CASES)
    assert f"there is: {one.id}, shipped" in refused("show", "unet", "0009-00000000")


def test_cards_without_figures_are_shown_too(state: Path) -> None:
    store = VersionStore(state / "weights")
    odd: dict[str, Any] = {"candidate": 3, "difference": "much"}
    card = VersionCard("", "unet", "", "", "", "trained", None, "refused", measured=odd)
    kept = store.refuse(card)
    assert kept.id in ok("versions", "unet").stdout
    assert "much" in ok("show", "unet", kept.id).stdout


def test_rollback_goes_to_what_served_before_and_further(state: Path) -> None:
    one, two = add(state, b"one"), add(state, b"two")
    store = VersionStore(state / "weights")
    done = ok("rollback", "unet", "--yes")
    assert store.serving("unet") == one.id
    assert f"{one.id} serves now instead of {two.id}" in done.stderr
    assert "within a second" in done.stderr
    assert f"back again: tumorseg models rollback unet {two.id}" in done.stderr
    assert told("rollback", "unet", "--yes") == {
        "model": "unet",
        "serving": SHIPPED,
        "before": one.id,
        "changed": True,
    }
    assert "nothing before" in refused("rollback", "unet", "--yes")
    assert told("rollback", "unet", two.id, "--yes")["changed"]
    assert not told("rollback", "unet", two.id, "--yes")["changed"]
    assert "serves already" in ok("rollback", "unet", two.id).stderr
    assert store.serving("unet") == two.id


def test_rollback_is_in_the_audit_log(state: Path) -> None:
    one, two = add(state, b"one"), add(state, b"two")
    ok("rollback", "unet", one.id, "--yes")
    (record,) = read_records(state / "audit", Wanted())
    assert (record.action, record.how) == ("model.rollback", "cli")
    assert record.detail == {"model": "unet", "version": one.id, "before": two.id}


def test_rollback_asks_a_person_and_refuses_to_guess_for_a_script(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = add(state, b"one"), add(state, b"two")
    store = VersionStore(state / "weights")
    assert "add --yes" in refused("rollback", "unet")
    assert store.serving("unet") == two.id
    monkeypatch.setattr(model_versions, "_is_somebody_there", lambda: True)
    assert run("rollback", "unet", typed="n\n").exit_code == 1
    assert store.serving("unet") == two.id
    assert run("rollback", "unet", typed="y\n").exit_code == 0
    assert store.serving("unet") == one.id


def test_rollback_to_refused_and_unknown_ones_says_what_there_is(state: Path) -> None:
    one, bad = add(state, b"one"), add(state, b"bad", "refused")
    assert f"was refused and cannot serve (refused: Dice changes); there is: {one.id}, shipped" in refused(
        "rollback", "unet", bad.id, "--yes"
    )
    assert f"there is: {one.id}, shipped" in refused("rollback", "unet", "nonsense", "--yes")


def test_a_damaged_pointer_is_listed_and_mended(state: Path) -> None:
    one = add(state, b"one")
    (state / "weights" / "unet" / "current.json").write_text("{")
    assert "nobody knows what serves" in ok("versions", "unet").stderr
    assert one.id in ok("versions", "unet").stdout
    assert "rollback unet ID" in refused("rollback", "unet", "--yes")
    done = ok("rollback", "unet", one.id, "--yes")
    assert "back again" not in done.stderr
    assert VersionStore(state / "weights").serving("unet") == one.id


def test_the_state_folder_may_be_named(state: Path, tmp_path: Path) -> None:
    one = add(tmp_path / "elsewhere", b"one")
    assert told("versions", "unet", "--state", str(tmp_path / "elsewhere"))["serving"] == one.id
    assert told("versions", "unet")["serving"] == SHIPPED


def test_the_list_of_models_says_what_serves_on_this_server(state: Path) -> None:
    assert told()["serving"] == {}
    one = add(state, b"one")
    add(state, b"bad", "refused", "resunet")
    said = told()
    assert said["serving"] == {"unet": one.id, "resunet": SHIPPED}
    assert "unet" in {row["name"] for row in said["models"]}
    assert f"unet is version {one.id}" in ok().stderr

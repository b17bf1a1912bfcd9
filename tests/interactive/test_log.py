"""The prompt log: replays to the mask or says where it differs, reads back what it wrote and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.interactive.balls import CENTRES, SHAPE, Balls, two_balls
from tests.interactive.test_session import new, strokes
from tumorseg.errors import ConflictError, InputError
from tumorseg.interactive import log_json
from tumorseg.interactive.log import MAX_EVENTS, PromptLog, mask_sha256, replay
from tumorseg.interactive.packed import MAX_RUNS
from tumorseg.interactive.prompts import MAX_PROMPTS, Box, Click, ExtremePoints
from tumorseg.interactive.session import PromptSession

NOTHING = np.zeros(SHAPE, bool)


def worked() -> PromptSession:
    """Return a session in which everything was done once."""
    session = new(state="f00")
    k, j, i = CENTRES[0]
    session.add(Click((i, j, k)))
    session.add(Click((i + 1, j, k), positive=False))
    session.undo()
    session.redo()
    session.add(Box((18, 8, 1), (30, 20, 4)))
    session.undo()
    session.add(ExtremePoints(((18, 8, 1), (30, 20, 4))))
    session.add(strokes((0, 0, 0, 1), (0, 5, 5, -1)))
    return session


def test_a_log_is_read_back_as_it_was_written_and_replays() -> None:
    session = worked()
    log = session.log()
    text = log.to_json()
    assert PromptLog.from_json(text) == log
    assert PromptLog.from_json(text.encode()) == log
    assert PromptLog.from_json(text).to_json() == text
    mask = replay(PromptLog.from_json(text), session.model, session.encoded, NOTHING)
    assert np.array_equal(mask, session.mask)
    assert log.sha256 == mask_sha256(mask)


def test_a_log_says_who_what_and_when() -> None:
    said = json.loads(worked().log().to_json())
    assert {name: said[name] for name in ("schema", "image", "state", "model", "label")} == {
        "schema": 1,
        "image": "i",
        "state": "f00",
        "model": "balls",
        "label": "tumor",
    }
    assert said["version"] == Balls().version
    assert said["start"] == {"name": "nothing", "sha256": mask_sha256(NOTHING), "shape": list(SHAPE)}
    assert said["steps"][0]["time"] == "2023-11-14T22:13:20.000+00:00"
    assert [next(iter(step["prompt"])) for step in said["steps"]] == ["click", "click", "extreme", "scribble"]


def test_what_was_undone_is_an_event_and_no_step() -> None:
    assert [(event.action, event.kind) for event in worked().log().events] == [
        ("add", "click+"),
        ("add", "click-"),
        ("undo", "click-"),
        ("redo", "click-"),
        ("add", "box"),
        ("undo", "box"),
        ("add", "extremepoints"),
        ("add", "scribble"),
    ]


def test_a_log_without_steps_is_its_start() -> None:
    session = new()
    log = PromptLog.from_json(session.log().to_json())
    assert log.sha256 == log.start_sha256
    assert replay(log, session.model, session.encoded, NOTHING) is NOTHING


def test_of_very_many_events_the_first_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorseg.interactive.session.MAX_EVENTS", 3)
    assert [event.kind for event in worked().log().events] == ["box", "extremepoints", "scribble"]


def test_the_digest_tells_masks_and_shapes_apart() -> None:
    mask = np.zeros((2, 3, 4), bool)
    digests = {mask_sha256(mask), mask_sha256(mask.reshape(4, 3, 2)), mask_sha256(mask[:1])}
    mask[1, 2, 3] = True
    assert len(digests | {mask_sha256(mask)}) == 4
    assert mask_sha256(np.asfortranarray(mask)) == mask_sha256(mask)


@pytest.mark.parametrize("number", range(4))
def test_a_step_that_leads_elsewhere_now_is_named(number: int) -> None:
    session = worked()
    log = session.log()
    steps = list(log.steps)
    steps[number] = replace(steps[number], sha256="0" * 64)
    with pytest.raises(ConflictError, match=f"step {number + 1} of 4"):
        replay(replace(log, steps=tuple(steps)), session.model, session.encoded, NOTHING)


def test_another_image_model_or_start_is_told() -> None:
    session = worked()
    log, seen = session.log(), session.encoded
    with pytest.raises(ConflictError, match=r"expected balls .* got balls .*publish that version again"):
        replay(log, Balls(threshold=1), seen, NOTHING)
    with pytest.raises(ConflictError, match=r"expected the mask 'nothing' .* its digest differs"):
        replay(log, session.model, seen, ~NOTHING)
    with pytest.raises(InputError, match="expected an image and a start"):
        replay(log, session.model, seen, np.zeros((1, 2, 3), bool))
    other = two_balls()
    other.voxels[:] = 0
    with pytest.raises(ConflictError, match=r"step 3 of 4 \(extremepoints\) leads to another mask"):
        replay(log, session.model, Balls().encode(other), NOTHING)


def changed(change: Callable[[dict[str, Any]], Any]) -> str:
    said = json.loads(worked().log().to_json())
    change(said)
    return json.dumps(said)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda said: said.update(schema=2), "schema 1, got 2: a newer version"),
        (lambda said: said.update(schema=True), "schema 1, got True"),
        (lambda said: said.update(schema=1.0), "schema 1, got 1.0"),
        (lambda said: said.pop("schema"), "schema 1, got None"),
        (lambda said: said.pop("image"), "it lacks image"),
        (lambda said: said.pop("events"), "it lacks events"),
        (lambda said: said.update(more=1), "it also has 'more'"),
        (lambda said: said.update(image=7), "image as a text of at most 1024 characters, got 7"),
        (lambda said: said.update(label="x" * 2000), "label as a text of at most 1024"),
        (lambda said: said.update(label="\ud800"), "expected label as a text"),
        (lambda said: said.update(start=[]), "start as a JSON object, got a list of 0"),
        (lambda said: said["start"].pop("shape"), "it lacks shape"),
        (lambda said: said["start"].update(name="\udfff"), "expected start as a text"),
        (lambda said: said["start"].update(sha256="F" * 64), "the sha256 of start as 64"),
        (lambda said: said["start"].update(shape=[6, 24]), "the shape of start"),
        (lambda said: said["start"].update(shape=[6, 24, 32.0]), "the shape of start"),
        (lambda said: said["start"].update(shape=[0, 24, 32]), "the shape of start"),
        (lambda said: said["start"].update(shape=[1 << 20, 1 << 20, 1 << 20]), "the shape of start"),
        (lambda said: said.update(steps={}), "steps as a list of at most 1000"),
        (lambda said: said.update(steps=[1] * 1001), "steps as a list of at most 1000, got a list of 1001"),
        (lambda said: said.update(steps=[1]), "step 1 as a JSON object, got 1"),
        (lambda said: said["steps"][1].pop("sha256"), "step 2 .* it lacks sha256"),
        (lambda said: said["steps"][1].update(sha256=None), "sha256 of step 2"),
        (lambda said: said["steps"][1].update(prompt={}), "step 2: expected a prompt"),
        (lambda said: said["steps"][1]["prompt"].update(click=[1.5, 2, 3]), "step 2: expected i of click"),
        (lambda said: said["steps"][1].update(time="today"), "time of step 2 as ISO 8601"),
        (lambda said: said["steps"][1].update(time="2023-11-14T22:13:20"), "in UTC"),
        (lambda said: said["steps"][1].update(time="2023-11-14T22:13:20+01:00"), "in UTC"),
        (lambda said: said["steps"][1].update(time=12), "time of step 2"),
        (lambda said: said["steps"][1].update(time="2023-13-14T22:13:20+00:00"), "time of step 2"),
        (lambda said: said["steps"][1].update(time="2023-11-14<22:13:20+00:00"), "time of step 2"),
        (lambda said: said["steps"][1].update(time="2023-11-14\ud80022:13:20+00:00"), "time of step 2"),
        (lambda said: said["steps"][1].update(time="2023-W01-1T00:00:00+00:00"), "time of step 2"),
        (lambda said: said["steps"][1].update(time=f"2023-11-14T22:13:20.{'1' * 5000}+00:00"), "time of step 2"),
        (lambda said: said["steps"][1].update(seconds=-1), "seconds of step 2"),
        (lambda said: said["steps"][1].update(seconds=True), "seconds of step 2"),
        (lambda said: said["steps"][1].update(seconds=10**400), "seconds of step 2"),
        (lambda said: said["steps"][1].update(method="<b>"), "method of step 2 as a name and 12"),
        (lambda said: said["steps"][1].update(method=None), "method of step 2 as a text"),
        (lambda said: said["steps"][1].update(way="x"), "step 2 .* also has 'way'"),
        (lambda said: said["events"][1].update(action="delete"), "action of event 2 as one of add, undo"),
        (lambda said: said["events"][1].update(action=["add"]), "action of event 2"),
        (lambda said: said["events"][1].update(kind="<script>"), "kind of event 2"),
        (lambda said: said.update(events=[1] * 10_001), "events as a list of at most 10000"),
    ],
)
def test_a_log_in_which_something_is_wrong_is_refused(change: Callable[[dict[str, Any]], Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        PromptLog.from_json(changed(change))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "as JSON, got text that is none"),
        ("{", "as JSON, got text that is none"),
        (b"\xff\xfe\x00", "as JSON, got text that is none"),
        ("null", "a JSON object, got None"),
        ("[]", "a JSON object, got a list of 0"),
        ('{"schema": NaN}', "NaN is no number"),
        ('{"schema": 1e999}', "schema 1, got inf"),
        ('{"schema": 1, "label": "tumor", "label": "edema"}', "a name is said twice"),
        ('{"schema": ' + "9" * 5000 + "}", "as JSON, got text that is none"),
        ("[" * 200_000, "nested far too deep"),
        ('{"a":' * 200_000, "nested far too deep"),
    ],
)
def test_a_text_that_is_no_log_is_refused(text: str | bytes, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        PromptLog.from_json(text)


@pytest.mark.parametrize("text", ["x", b"x"])
def test_a_log_of_a_gigabyte_is_not_even_parsed(text: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_json, "MAX_BYTES", 4)
    with pytest.raises(InputError, match="at most 4 bytes, got 5"):
        PromptLog.from_json(text * 5)


def test_reading_a_log_of_a_huge_volume_makes_no_array_of_it() -> None:
    import tracemalloc

    scribble = {"prompt": {"scribble": {"runs": [[0, 10**12]]}}}
    text = changed(
        lambda said: (
            said["start"].update(shape=[10**4, 10**4, 10**4]),
            said.update(steps=[{**said["steps"][0], **scribble}] * 100),
        )
    )
    tracemalloc.start()
    try:
        log = PromptLog.from_json(text)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(InputError, match="expected an image and a start"):
        replay(log, Balls(), Balls().encode(two_balls()), NOTHING)


def test_the_largest_log_of_a_session_can_be_read_again() -> None:
    log = worked().log()
    run = len("[-1,2097152],")
    rest = replace(
        log, steps=(log.steps[0],) * MAX_PROMPTS, events=(log.events[1],) * MAX_EVENTS, label="\U0001f9e0" * 1024
    )
    assert MAX_RUNS * run + len(rest.to_json()) < log_json.MAX_BYTES

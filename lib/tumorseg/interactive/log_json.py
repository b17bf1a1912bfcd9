"""The prompt log as JSON: written so that equal logs are equal texts, read so that nothing is taken on trust."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from tumorseg.errors import InputError
from tumorseg.interactive.log import ACTIONS, MAX_EVENTS, MAX_NAME, NAMES, SCHEMA, LogEvent, LogStep, PromptLog
from tumorseg.interactive.prompt_json import packed_from_json, prompt_to_json, shown
from tumorseg.interactive.prompts import MAX_PROMPTS

#: Bytes of a log; what a session may hold (:mod:`tumorseg.interactive.session`) always fits.
MAX_BYTES = 8 << 20
# Voxels of a mask: no scanner's image has as many, and products of sizes below stay exact.
_MAX_VOXELS = 1 << 40
# As sessions write it; what the standard's other forms allow (weeks, any sign between date and time) is nobody's.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(\+00:00|Z)", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_METHOD = re.compile(r"([a-z0-9]{1,20}-[0-9a-f]{12})?")
_KIND = re.compile(r"[a-z]{1,20}[+-]?")
# The start's stands with its digest.
_NAMES = tuple(name for name in NAMES if name != "start")
T = TypeVar("T")


def write(log: PromptLog) -> str:
    """Return a log as compact JSON with sorted names."""
    said: dict[str, Any] = {name: getattr(log, name) for name in _NAMES}
    said["schema"] = SCHEMA
    said["start"] = {"name": log.start, "sha256": log.start_sha256, "shape": list(log.shape)}
    said["steps"] = [_step_to_json(step) for step in log.steps]
    said["events"] = [{"time": e.time, "action": e.action, "kind": e.kind} for e in log.events]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _step_to_json(step: LogStep) -> dict[str, Any]:
    prompt = prompt_to_json(step.packed)
    said = {"time": step.time, "prompt": prompt, "sha256": step.sha256, "seconds": step.seconds}
    return {**said, "method": step.method} if step.method else said


def read(text: str | bytes) -> PromptLog:
    """Read what :func:`write` wrote.

    Raises:
        InputError: too long, no JSON, of another version, or something in it is missing or of another type.
    """
    said = _object(_parsed(text), "a prompt log", None)
    if said.get("schema") != SCHEMA or type(said["schema"]) is not int:
        raise InputError(
            f"expected a prompt log of schema {SCHEMA}, got {shown(said.get('schema'))}: "
            "a newer version of tumorseg wrote it, read it with that"
        )
    _object(said, "a prompt log", {"schema", "start", "steps", "events", *_NAMES})
    start = _object(said["start"], "start", {"name", "sha256", "shape"})
    shape = _shape(start["shape"])
    image, state, model, version, label = (_text(said[name], name) for name in _NAMES)
    return PromptLog(
        image=image,
        state=state,
        model=model,
        version=version,
        label=label,
        start=_text(start["name"], "the name of start"),
        start_sha256=_sha256(start["sha256"], "start"),
        shape=shape,
        steps=_each(said["steps"], "step", MAX_PROMPTS, lambda value, what: _step(value, what, shape)),
        events=_each(said["events"], "event", MAX_EVENTS, _event),
    )


def _parsed(text: str | bytes) -> Any:
    """Parse JSON of a bounded length; depth is bounded by the parser, which refuses before the stack ends."""
    if len(text) > MAX_BYTES:
        raise InputError(f"expected a prompt log of at most {MAX_BYTES} bytes, got {len(text)}")
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_said_once)
    except RecursionError:
        raise InputError("expected a prompt log as JSON, got text that is nested far too deep") from None
    except ValueError as error:
        raise InputError(f"expected a prompt log as JSON, got text that is none ({str(error)[:200]})") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object in which nothing is said twice: readers differ in which of the two they take."""
    said = dict(pairs)
    if len(said) != len(pairs):
        raise ValueError("a name is said twice")
    return said


def _step(value: Any, what: str, shape: tuple[int, int, int]) -> LogStep:
    said = _object(value, what, None)
    said = _object(said, what, {"time", "prompt", "sha256", "seconds", *({"method"} & said.keys())})
    try:
        packed = packed_from_json(said["prompt"], shape)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    method = _text(said.get("method", ""), f"method of {what}")
    if not _METHOD.fullmatch(method):
        raise InputError(f"expected the method of {what} as a name and 12 hexadecimal digits, got {shown(method)}")
    seconds = _seconds(said["seconds"], what)
    return LogStep(_time(said["time"], what), packed, _sha256(said["sha256"], what), seconds, method)


def _event(value: Any, what: str) -> LogEvent:
    said = _object(value, what, {"time", "action", "kind"})
    for action in ACTIONS:
        if said["action"] == action:
            kind = _text(said["kind"], f"kind of {what}")
            if not _KIND.fullmatch(kind):
                raise InputError(f"expected the kind of {what} as a kind of prompt, got {shown(kind)}")
            return LogEvent(_time(said["time"], what), action, kind)
    raise InputError(f"expected the action of {what} as one of {', '.join(ACTIONS)}, got {shown(said['action'])}")


def _each(value: Any, what: str, most: int, read_one: Callable[[Any, str], T]) -> tuple[T, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise InputError(f"expected {what}s as a list of at most {most}, got {shown(value)}")
    return tuple(read_one(one, f"{what} {number}") for number, one in enumerate(value, 1))


def _object(value: Any, what: str, names: set[str] | None) -> Mapping[str, Any]:
    """Take an object with exactly these names, whichever where there are none."""
    if not isinstance(value, dict):
        raise InputError(f"expected {what} as a JSON object, got {shown(value)}")
    if names is None or value.keys() == names:
        return value
    missing, unknown = sorted(names - value.keys()), sorted(value.keys() - names)
    raise InputError(
        f"expected {what} with {', '.join(sorted(names))}; "
        + (f"it lacks {', '.join(missing)}" if missing else f"it also has {shown(', '.join(unknown))}")
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise InputError(f"expected {what} as a text of at most {MAX_NAME} characters, got {shown(value)}")
    return value


def _sha256(value: Any, what: str) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise InputError(f"expected the sha256 of {what} as 64 hexadecimal digits, got {shown(value)}")
    return value


def _time(value: Any, what: str) -> str:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value) and datetime.fromisoformat(value):
            return value
    except ValueError:
        pass
    raise InputError(f"expected the time of {what} as ISO 8601 in UTC, got {shown(value)}")


def _seconds(value: Any, what: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or abs(value) > 1 << 31 or not math.isfinite(value) or value < 0:
        raise InputError(f"expected the seconds of {what} as a number from 0, got {shown(value)}")
    return float(value)


def _shape(value: Any) -> tuple[int, int, int]:
    sizes = value if isinstance(value, list) and len(value) == 3 else []
    whole = [
        size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= _MAX_VOXELS
    ]
    if len(whole) != 3 or math.prod(whole) > _MAX_VOXELS:
        raise InputError(
            f"expected the shape of start as [K, J, I], three numbers of voxels from 1, got {shown(value)}"
        )
    return whole[0], whole[1], whole[2]

"""What clients saw: seconds by action, refusals, errors; and the numbers that are made of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MESSAGES_KEPT = 5


@dataclass
class Tally:
    """Counts of one run.

    Attributes:
        seconds: action -> seconds from sending a request to having read the answer, refused ones left out.
        refused: action -> requests that were answered 503 with ``Retry-After``.
        errors: action -> requests with any other answer than the wanted one, or with none.
        messages: the first few errors, in words.
        in_flight: for every ``/info/`` asked, how many inferences were under way for these clients.
        waited_in_vain: action -> requests that nobody had answered when the run was ended.
        lead_in: the seconds of what was answered before :meth:`begin`.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    waited_in_vain: Counter[str] = field(default_factory=Counter)
    lead_in: dict[str, list[float]] = field(default_factory=dict)

    def begin(self) -> None:
        """Put aside how long answers took so far; refusals and errors go on counting."""
        self.lead_in, self.seconds, self.in_flight = self.seconds, {}, []

    def answered(self, action: str, seconds: float) -> None:
        """Note an answer that was as it should be."""
        self.seconds.setdefault(action, []).append(seconds)

    def unanswered(self, action: str, seconds: float) -> None:
        """Note a request given up at the end; its time so far counts, for else the slowest would be left out."""
        self.waited_in_vain[action] += 1
        self.seconds.setdefault(action, []).append(seconds)

    def failed(self, action: str, message: str) -> None:
        """Note what should not have happened."""
        self.errors[action] += 1
        if len(self.messages) < _MESSAGES_KEPT:
            self.messages.append(f"{action}: {message[:300]}")

    @property
    def total(self) -> int:
        """All requests that ended, however."""
        answered = (*self.lead_in.values(), *self.seconds.values())
        return sum(map(len, answered)) + self.refused.total() + self.errors.total()

    def as_json(self) -> dict[str, Any]:
        """Sum up."""
        return {
            "requests": self.total,
            "errors": self.errors.total() + self.waited_in_vain.total(),
            "refused": self.refused.total(),
            "messages": self.messages,
            "latency_ms": {action: latency(values) for action, values in sorted(self.seconds.items())},
            "lead_in_latency_ms": {action: latency(values) for action, values in sorted(self.lead_in.items())},
            "refused_by": dict(self.refused),
            "errors_by": dict(self.errors),
            "unanswered_by": dict(self.waited_in_vain),
            "inferences_in_flight": spread(self.in_flight),
        }


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Return count, median, 95th percentile and largest, milliseconds."""
    return {
        "count": len(seconds),
        **{name: round(1000 * quantile(seconds, part), 1) for name, part in (("p50", 0.5), ("p95", 0.95), ("max", 1))},
    }


def spread(values: Sequence[int]) -> Mapping[str, float]:
    """Return least, median and largest."""
    return {name: quantile(values, part) for name, part in (("min", 0), ("p50", 0.5), ("max", 1))}


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least ``part`` of the values do not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]

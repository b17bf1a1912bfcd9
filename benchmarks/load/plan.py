"""What a process of clients is told, as one JSON object on its standard input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

#: Parts of 100 of each request of people who annotate: what viewers and panels send.
ANNOTATING = {"info": 40, "next_sample": 12, "infer_ohif": 12, "infer_slicer": 12, "save_label": 14, "read_label": 10}
#: The same for a server that runs for a long time: mostly cheap ones, and everything that leaves something behind.
LASTING = {
    "info": 30,
    "list_images": 10,
    "next_sample": 12,
    "infer_ohif": 8,
    "infer_slicer": 6,
    "save_label": 10,
    "read_label": 10,
    "session": 5,
    "upload_image": 3,
    "broken_upload": 3,
    "hang_up": 3,
}


@dataclass(frozen=True)
class Plan:
    """One run of clients.

    Attributes:
        address: of the server.
        model: model that is asked.
        images: ids that clients choose from.
        clients: how many at once, each with a connection of its own that is kept.
        mix: action -> parts of what the clients do.
        seconds: how long requests are sent; what is under way then is waited for.
        requests: how many are sent at most, 0 for no such limit.
        pause_s: seconds that a client looks at an answer before it goes on, on average (even between 0 and twice it).
        lead_in_s: how long they send before answers are timed: each study is opened for the first time then.
        drain_s: how long answers are waited for after the end.
        seed: of everything that is random.
        first_label: number of the first label map, so that several runs send different ones.
    """

    address: str
    model: str
    images: tuple[str, ...]
    clients: int
    mix: dict[str, int]
    seconds: float
    requests: int = 0
    pause_s: float = 0.0
    lead_in_s: float = 0.0
    drain_s: float = 60.0
    seed: int = 1
    first_label: int = 0

    def to_json(self) -> str:
        """Write one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what :meth:`to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "images": tuple(values["images"])})

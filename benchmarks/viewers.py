"""Requests as the viewers send them, and answers taken apart; only the standard library, the same for every server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from tumorseg.errors import UnavailableError

OHIF_PARAMS = {
    "result_extension": ".nrrd",
    "result_dtype": "uint8",
    "result_compress": False,
    "restore_label_idx": False,
}
SLICER_PARAMS = {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "user-xyz"}
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Answer:
    """One answer to ``/infer``.

    Attributes:
        seconds: from sending the request to having read the answer.
        nrrd: the label map.
        latencies: seconds by step as the server tells them (Slicer only).
    """

    seconds: float
    nrrd: bytes
    latencies: dict[str, Any] = field(default_factory=dict)


def ask_ohif(address: str, model: str, image: str, prompts: Mapping[str, Any] | None = None) -> Answer:
    """Ask as OHIF does: ``output=image``, raw uint8 NRRD; ``prompts`` are what its point tools put beside that."""
    begin = time.perf_counter()
    where = f"{address}/infer/{quote(model)}?{urlencode({'image': image, 'output': 'image'})}"
    body, _ = _post(where, {**OHIF_PARAMS, **(prompts or {})})
    return Answer(time.perf_counter() - begin, body)


def ask_slicer(address: str, model: str, image: str) -> Answer:
    """Ask as Slicer does: description and label map as the parts of one answer."""
    begin = time.perf_counter()
    body, kind = _post(f"{address}/infer/{quote(model)}?{urlencode({'image': image})}", SLICER_PARAMS)
    seconds = time.perf_counter() - begin
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = {str(part.get_param("name", header="content-disposition")): part for part in message.iter_parts()}
    nrrd, said = (bytes(parts[name].get_payload(decode=True)) for name in ("image", "params"))
    return Answer(seconds, nrrd, json.loads(said).get("latencies", {}))


def ask_info(address: str) -> float:
    """Ask ``/info/`` and return the seconds until the answer was read."""
    begin = time.perf_counter()
    with urlopen(f"{address}/info/", timeout=TIMEOUT_S) as answer:
        answer.read()
    return time.perf_counter() - begin


def _post(url: str, params: dict[str, Any]) -> tuple[bytes, str]:
    """Send the form field ``params``; return body and content type."""
    data = urlencode({"params": json.dumps(params)}).encode()
    try:
        with urlopen(Request(url, data=data), timeout=TIMEOUT_S) as answer:
            return answer.read(), answer.headers["Content-Type"]
    except HTTPError as error:
        raise UnavailableError(f"{url} answered {error.code}: {error.read().decode()[:500]}") from None
    except OSError as error:  # a timeout, or the server is gone
        raise UnavailableError(f"{url} did not answer: {error}") from None

"""The part "Point Prompts" of OHIF's panel: a person chooses a segment, clicks into the picture, and presses "Run"."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.clients.ohif_viewer import PATIENCE_MS, Viewer

# Between places of the patient and pixels of the window, in a view as it shows its slice; a mouse knows whole pixels.
_ON_WINDOW = """([view, point]) => {
  const shown = window.services.cornerstoneViewportService.getRenderingEngine().getViewports()[view];
  const [x, y] = shown.worldToCanvas(point);
  const box = shown.canvas.getBoundingClientRect();
  return [Math.round(box.left + x), Math.round(box.top + y)];
}"""
_IN_PATIENT = """([view, x, y]) => {
  const shown = window.services.cornerstoneViewportService.getRenderingEngine().getViewports()[view];
  const box = shown.canvas.getBoundingClientRect();
  return Array.from(shown.canvasToWorld([x - box.left, y - box.top]));
}"""
_ACTIVE = """view => {
  const shown = window.services.cornerstoneViewportService.getRenderingEngine().getViewports()[view];
  return window.services.viewportGridService.getActiveViewportId() === shown.id;
}"""
_COUNT_RENEWALS = """() => {
  window.renewals = 0;
  window.cornerstone.eventTarget.addEventListener('CORNERSTONE_TOOLS_SEGMENTATION_DATA_MODIFIED', () => {
    window.renewals += 1;
  });
}"""
# The points of every segment whose points are shown; other tools keep annotations of their own.
_POINTS = """() => window.cornerstoneTools.annotation.state.getAllAnnotations().filter(
  one => one.metadata.toolName === 'ProbeMONAILabel').length"""
#: Half the side of what is looked at around the pointer, in pixels of the window.
_NEAR = 3


@dataclass(frozen=True, eq=False)
class Clicked:
    """What was under the pointer.

    Attributes:
        point_lps: the point of the patient, mm; near the one that was asked for: a view shows whole slices, and a
            mouse points at whole pixels.
        bright: how bright the picture was there before the click, 0 to 1.
    """

    point_lps: NDArray[np.float64]
    bright: float


class PointsTab:
    """The part as a person sees and uses it, in a connected :class:`Viewer`."""

    def __init__(self, window: Viewer) -> None:
        self._window, self._page = window, window.page
        self._tab = window.page.locator(".tab", has=window.page.get_by_text("Point Prompts", exact=True))
        #: What each press of "Run" said to the server: the JSON of its form, the oldest first.
        self.sent: list[dict[str, Any]] = []
        window.page.on("request", self._note)

    def open(self, model: str) -> None:
        """Unfold it and choose a model."""
        self._tab.locator(".tab-label").click()
        self._tab.locator("select").select_option(model)
        self._page.evaluate(_COUNT_RENEWALS)

    @property
    def models(self) -> list[str]:
        """What its selector offers."""
        return [str(text).strip() for text in self._tab.locator("select option").all_inner_texts()]

    @property
    def segments(self) -> list[str]:
        """The names in its table of segments."""
        return [str(text).strip() for text in self._rows.locator("td:nth-child(2)").all_inner_texts()]

    @property
    def chosen(self) -> str:
        """The segment that its table shows as chosen; "" where none is."""
        rows = self._rows.evaluate_all("rows => rows.map(row => [row.innerText, row.style.backgroundColor])")
        return next((str(name).strip() for name, colour in rows if colour != "transparent"), "")

    def choose(self, segment: str) -> None:
        """Choose a segment, or "background", for the clicks that follow."""
        self._rows.filter(has=self._page.get_by_text(segment, exact=True)).click()

    def clear(self) -> None:
        """Press "Clear All Points"."""
        self._tab.get_by_text("Clear All Points").click()

    def click(self, point_lps: NDArray[np.float64], view: int = 0) -> Clicked:
        """Go to a point of the patient in all views, and click on it in one of them."""
        self._window.go_to(point_lps)
        x, y = self._page.evaluate(_ON_WINDOW, [view, [float(value) for value in point_lps]])
        under, seen = self._page.evaluate(_IN_PATIENT, [view, x, y]), self._seen(x, y)
        if not self._page.evaluate(_ACTIVE, view):  # the first click into a view makes it the active one, no more
            self._page.mouse.click(x, y)
            self._page.wait_for_function(_ACTIVE, arg=view)
        before = self._page.evaluate(_POINTS)
        self._page.mouse.click(x, y)
        # The viewer waits whether it becomes a double click before it places the point.
        self._page.wait_for_function(f"before => ({_POINTS})() > before", arg=before)
        return Clicked(np.array(under), seen)

    def run(self) -> None:
        """Press "Run", and wait until the answer is in the labelmap."""
        before = self._page.evaluate("() => window.renewals")
        self._tab.get_by_role("button", name="Run").click()
        self._page.wait_for_function("before => window.renewals > before", arg=before)

    def refused(self) -> str:
        """Press "Run" and return the notice that says why there is no answer."""
        self._tab.get_by_role("button", name="Run").click()
        notice = self._page.get_by_text("Failed to Run Inference").first
        notice.wait_for()
        return str(notice.inner_text())

    @property
    def _rows(self) -> Any:
        return self._tab.locator(".optionsTable tr")

    def _seen(self, x: float, y: float) -> float:
        box = {"x": x - _NEAR, "y": y - _NEAR, "width": 2 * _NEAR, "height": 2 * _NEAR}
        picture = Image.open(BytesIO(self._page.screenshot(clip=box, timeout=PATIENCE_MS))).convert("L")
        return float(np.median(np.asarray(picture)) / 255)

    def _note(self, request: Any) -> None:
        if request.method == "POST" and "/infer/" in request.url:
            self.sent.append(_params(request.headers["content-type"], request.post_data_buffer))


def _params(kind: str, body: bytes) -> dict[str, Any]:
    """Return the form field ``params``."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    said: dict[str, Any] = json.loads(parts["params"].get_payload(decode=True))
    return said

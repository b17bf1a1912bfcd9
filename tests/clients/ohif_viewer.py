"""A person in front of OHIF: headless Chromium that clicks through the study list and the MONAI Label panel."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorseg.geometry import Grid, affine_from_parts

_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: Software rendering on a busy machine takes its time.
PATIENCE_MS = 180_000
_WINDOW = {"width": 1600, "height": 900}

_LOADED = """() => {
  const engine = window.services?.cornerstoneViewportService?.getRenderingEngine();
  const views = engine ? engine.getViewports() : [];
  return views.length > 0 && views.every(view => view.getAllVolumeIds?.().length
    && window.cornerstone.cache.getVolume(view.getAllVolumeIds()[0])?.loadStatus?.loaded);
}"""
_HAS_LABELMAP = "() => !!window.services.segmentationService.getLabelmapVolume('1')"
_READ = """what => {
  const bytes = array => {
    const all = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    let text = '';
    for (let i = 0; i < all.length; i += 8192) text += String.fromCharCode(...all.subarray(i, i + 8192));
    return btoa(text);
  };
  // Slice by slice: cornerstone keeps each in the smallest type that holds it, and its own way to join them takes
  // the first one's type for all.
  const slices = volume => {
    const size = volume.dimensions[0] * volume.dimensions[1];
    const all = new Float32Array(size * volume.imageIds.length);
    volume.imageIds.forEach((id, k) => all.set(
      window.cornerstone.cache.getImage(id).voxelManager.getScalarData(), k * size));
    return all;
  };
  const pack = volume => ({
    dimensions: Array.from(volume.dimensions), origin: Array.from(volume.origin),
    spacing: Array.from(volume.spacing), direction: Array.from(volume.direction),
    voxels: bytes(slices(volume)),
  });
  const view = window.services.cornerstoneViewportService.getRenderingEngine().getViewports()[0];
  return what === 'image' ? pack(window.cornerstone.cache.getVolume(view.getAllVolumeIds()[0]))
    : pack(window.services.segmentationService.getLabelmapVolume('1'));
}"""
_SERIES_UID = """() => {
  const { viewports, activeViewportId } = window.services.viewportGridService.getState();
  const shown = viewports.get(activeViewportId).displaySetInstanceUIDs[0];
  return window.services.displaySetService.getDisplaySetByUID(shown).SeriesInstanceUID;
}"""
# Resolves when every view has drawn the slice that it went to.
_JUMP = """point => Promise.all(
  window.services.cornerstoneViewportService.getRenderingEngine().getViewports().map(view => new Promise(drawn => {
    view.element.addEventListener('CORNERSTONE_IMAGE_RENDERED', () => drawn(), {once: true});
    view.jumpToWorld(point);
    view.render();
  })))"""


@dataclass(frozen=True, eq=False)
class Shown:
    """One volume as the viewer holds it: ``(K, J, I)`` voxels and where the viewer displays them."""

    voxels: NDArray[np.float32]
    grid: Grid


class Viewer:
    """One browser window on one server."""

    def __init__(self, page: Any, server: str) -> None:
        self.page, self.server = page, server
        #: Every address the browser asked for, and what went wrong on the page.
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open_study(self, patient: str) -> None:
        """Choose the study of ``patient`` in the study list and the mode "MONAI Label"."""
        self.page.goto(f"{self.server}/ohif/")
        self.page.get_by_text(patient, exact=True).first.click()
        self.page.get_by_role("button", name="MONAI Label").click()
        self.wait_for_the_picture()

    def wait_for_the_picture(self) -> None:
        """Wait until all views show their volume."""
        self.page.wait_for_function(_LOADED)
        notice = self.page.get_by_role("button", name="Confirm and Hide")
        if notice.is_visible():
            notice.click()

    def connect(self) -> None:
        """Press the panel's connect button, with the address that stands there; or type ours over another one."""
        field = self.page.locator("#monailabelServerURL")
        if field.input_value().rstrip("/") != self.server:
            field.fill(f"{self.server}/")
        with self.page.expect_response(lambda got: got.url.endswith("/info/")):
            self.page.locator(".settingsTable button").click()
        self._section.get_by_role("button", name="Run").wait_for()
        self.page.wait_for_function(_HAS_LABELMAP)

    def auto_segment(self, model: str) -> None:
        """Choose ``model`` under "Auto-Segmentation", press "Run" and wait for the answer."""
        self._section.locator("select").select_option(model)
        self._section.get_by_role("button", name="Run").click()
        self.page.get_by_text("Running Segmentation - Successful").first.wait_for()
        self.page.wait_for_timeout(1000)  # the answer is copied into the labelmap after the message

    def read(self) -> tuple[Shown, Shown]:
        """Return the displayed image and the labelmap, each with the geometry that the viewer gives it."""
        return self.image(), self.labels()

    def image(self) -> Shown:
        """Return the displayed image."""
        return _shown(self.page.evaluate(_READ, "image"))

    def labels(self) -> Shown:
        """Return the labelmap, which holds every segment."""
        return _shown(self.page.evaluate(_READ, "labels"))

    @property
    def series_uid(self) -> str:
        """The SeriesInstanceUID of the series in the active view."""
        return str(self.page.evaluate(_SERIES_UID))

    def go_to(self, point_lps: NDArray[np.float64]) -> None:
        """Show the slices through ``point_lps`` in all three planes."""
        self.page.evaluate(_JUMP, [float(value) for value in point_lps])

    def picture(self, path: Path, point_lps: NDArray[np.float64]) -> None:
        """Go to ``point_lps`` in all three planes and save a picture of the window."""
        self.go_to(point_lps)
        self.page.wait_for_timeout(3000)
        self.page.screenshot(path=path, timeout=PATIENCE_MS)

    @property
    def strangers(self) -> set[str]:
        """The hosts that the page talked to beside the server."""
        hosts = {urlsplit(url).netloc for url in self.asked if url.startswith(("http", "ws"))}
        return hosts - {urlsplit(self.server).netloc}

    @property
    def _section(self) -> Any:
        return self.page.locator(".tab", has_text="Auto-Segmentation")


def _shown(said: dict[str, Any]) -> Shown:
    shape = tuple(reversed(said["dimensions"]))
    voxels = np.frombuffer(base64.b64decode(said["voxels"]), np.float32).reshape(shape)
    # cornerstone lists the unit vectors of i, j and k one after the other; ours are columns.
    direction = np.array(said["direction"]).reshape(3, 3).T
    return Shown(
        voxels, Grid((shape[0], shape[1], shape[2]), affine_from_parts(said["origin"], direction, said["spacing"]))
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser, or skip saying what is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("chromium is not installed (Debian: chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def viewer(browser: Any, server: str) -> Iterator[Viewer]:
    """Open a fresh window without cookies."""
    context = browser.new_context(viewport=_WINDOW)
    try:
        yield Viewer(context.new_page(), server)
    finally:
        context.close()

"""The part "Active Learning" of OHIF's panel, and what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.clients.ohif_viewer import Viewer


@dataclass(frozen=True)
class Sent:
    """A request of the panel: its method, its path and its body as text."""

    method: str
    path: str
    body: str | None


class LearningTab:
    """The part as a person sees and uses it, in a connected :class:`Viewer`."""

    def __init__(self, window: Viewer) -> None:
        self._window = window
        self._tab = window.page.locator(".tab", has=window.page.get_by_text("Active Learning", exact=True))
        #: What was sent about samples and trainings, oldest first; questions (GET) left out.
        self.sent: list[Sent] = []
        window.page.on("request", self._note)
        window.page.on("dialog", lambda dialog: dialog.accept())  # "This action will reload current page."

    def open(self) -> None:
        """Unfold it."""
        self._tab.locator(".tab-label").click()
        self._tab.get_by_role("button", name="Next Sample").wait_for()

    def refresh(self) -> None:
        """Press the panel's connect button again: it asks for nothing by itself."""
        with self._window.page.expect_response(lambda got: "check_if_running" in got.url):
            self._window.connect()

    @property
    def strategies(self) -> list[str]:
        """What its selector offers."""
        return [str(text) for text in self._tab.locator("select option").all_inner_texts()]

    @property
    def strategy(self) -> str:
        """What its selector shows as chosen."""
        return str(self._tab.locator("select").input_value())

    def choose(self, strategy: str) -> None:
        """Choose another strategy."""
        self._tab.locator("select").select_option(strategy)

    def next_sample(self) -> dict[str, Any]:
        """Press "Next Sample" and return what the server answered."""
        return self._press("Next Sample", "/activelearning/").json()  # type: ignore[no-any-return]

    def train(self, button: str) -> int:
        """Press "Update Model" or "Stop Training", whichever must stand there, and return the status of the answer."""
        return int(self._press(button, "/train/").status)

    def wait_for_button(self, name: str) -> None:
        """Wait until this button is there."""
        self._tab.get_by_role("button", name=name).wait_for()

    def bar(self, name: str) -> tuple[str, str]:
        """Return the text in one of its bars and that of its tool tip."""
        cell = self._tab.get_by_role("row", name=name).locator("td[title]")
        return str(cell.inner_text()).strip(), str(cell.get_attribute("title"))

    def filled(self, name: str) -> tuple[str, str]:
        """Return the colour of the text in one of its bars, and how the bar behind it is filled."""
        bar = self._tab.get_by_role("row", name=name).locator("td[title] .w3-container")
        look = bar.evaluate("bar => { const {color, backgroundImage} = getComputedStyle(bar); "
                            "return [color, backgroundImage]; }")  # fmt: skip
        return str(look[0]), str(look[1])

    def wait_for_notice(self, text: str) -> None:
        """Wait for a notice with this text."""
        self._window.page.get_by_text(text).first.wait_for()

    def open_the_study(self) -> None:
        """Press "OK" below the sample that the server named, and wait for its picture."""
        page = self._window.page
        with page.expect_navigation():
            page.locator(".nextSampleForm").get_by_role("button", name="OK").click()
        self._window.wait_for_the_picture()

    def _press(self, button: str, path: str) -> Any:
        with self._window.page.expect_response(lambda got: path in got.url and got.request.method != "GET") as answer:
            self._tab.get_by_role("button", name=button).click()
        return answer.value

    def _note(self, request: Any) -> None:
        path = urlsplit(request.url).path
        if request.method != "GET" and path.startswith(("/activelearning/", "/train/")):
            self.sent.append(Sent(request.method, path, request.post_data))

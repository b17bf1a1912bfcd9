"""A connection whose request never becomes whole is closed: uvicorn itself waits for the rest of a header for ever.

How long the body of a request may take is the affair of :mod:`tumorseg.server.limits`.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

#: How long the header of a request may take, from its first byte or from the connection on, s.
HEADER_S = 30.0


class PatientProtocol(H11Protocol):
    """uvicorn's protocol of one connection, with an end to waiting."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait until a header that begins is whole."""
        if not self._is_answering():
            self._wait()
        super().data_received(data)
        if self._is_answering():
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._rest()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEADER_S, self._give_up)

    def _rest(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        self.transport.close()

"""How long a connection may take to say what it wants, and to take its answer: clients that trickle hold nothing.

connection, or bytes after an answer -- headers whole in time? -- request (its body has the deadline) -- answer
                                        no: 408, closed                                  not taken in time: closed hard
"""

import asyncio
import json

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""From a connection, or from the first byte of one more request on it, until its headers are whole."""
TAKING_SECONDS = 60.0
"""From when a client is too slow for an answer, or the answer ended, until it has taken what waits."""
BODY = json.dumps({"error": "the headers did not come in time"}).encode()
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"


class PatientProtocol(H11Protocol):
    """uvicorn's connection with an end to its patience."""

    header_seconds, taking_seconds = HEADER_SECONDS, TAKING_SECONDS
    _waiting: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._wait()
        super().data_received(data)
        if not self._is_idle:
            self._stop_waiting()
            if self.transport.get_write_buffer_size() == 0:
                self._stop_taking()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._take()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_taking()

    def on_response_complete(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            self._take()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_taking()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.header_seconds, self._end_waiting)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _end_waiting(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(LATE + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            self.transport.close()
            self.loop.call_later(self.header_seconds, self.transport.abort)

    def _take(self) -> None:
        if self._taking is None:
            self._taking = self.loop.call_later(self.taking_seconds, self._end_taking)

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _end_taking(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()

"""HTTP/1.1 connections: timeouts for slow clients, answers to half-closed ones, and errors in JSON.

new connection, or data after a response -- headers complete? -- request (its body has the deadline) -- response
                                            408, 400: closed                                received? else aborted

A client that has sent its request and closed its side of the connection still receives the response.
"""

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""From a new connection, or the first byte of another request on it, until the headers are complete."""
WRITE_SECONDS = 60.0
"""From when a response does not fit into the send buffers until the client has received what waits."""
LINGER_SECONDS = 2.0
"""How long what a client still sends is dropped after its last response; closing at once could reset the connection
before it has read that."""
PROBE_SECONDS = 1.0
"""How often it is looked whether a client that sends no more still receives."""


class ConnectionProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, for clients that are slow, stop sending, or send what is not HTTP.

    uvicorn has no setting for these, and no ASGI middleware can add them: it is called only after the headers, and has
    no access to the send buffer. Callbacks of `asyncio.Protocol` are overridden, and uvicorn's for a request that is
    not HTTP and for the end of a response. `cycle`, the request that is being answered, and `conn`, the state of the
    protocol, are the attributes of uvicorn that are used.
    """

    header_seconds, write_seconds, probe_seconds = HEADER_SECONDS, WRITE_SECONDS, PROBE_SECONDS
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _probe_timer: asyncio.TimerHandle | None = None
    _is_half_closed, _is_ended = False, False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # call pause_writing as soon as anything waits
        self._start_header_timer()

    def data_received(self, data: bytes) -> None:
        if self._is_ended:
            return
        if self._is_idle and not self.conn.trailing_data[0]:
            data = data.lstrip(b"\r\n")  # clients may send empty lines between requests
            if not data:
                return
        if self._is_idle:
            self._start_header_timer()
        super().data_received(data)
        if not self._is_idle:
            self._header_timer = _cancel(self._header_timer)

    def eof_received(self) -> bool:  # type: ignore[override]  # None in uvicorn, which closes the connection
        """Keep the connection, for the response to a client that has sent its request and will send no more."""
        self._is_half_closed = True
        if self._is_ended:
            return False
        if self._is_idle and self.conn.trailing_data[0]:
            self.send_400_response("the request ends within its headers")
        is_answering = not self._is_idle and not self.cycle.more_body
        if is_answering and self._probe_timer is None:
            self._probe_timer = self.loop.call_later(self.probe_seconds, self._probe)
        return is_answering

    def _probe(self) -> None:
        """Write what clients ignore: a client that has closed the connection answers by resetting it.

        The end of what a client sends looks the same, whether it has closed the connection or still receives.
        """
        if self._is_ended or self._is_idle or self.cycle.response_started:
            return
        if self.cycle.scope["http_version"] != "1.0":  # which has no such responses
            still_there = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self.transport.write(self.conn.send(still_there) or b"")
        self._probe_timer = self.loop.call_later(self.probe_seconds, self._probe)

    def handle_events(self) -> None:
        unread = self.conn.trailing_data[0]
        if self.cycle is not None and self.conn.their_state is h11.IDLE and unread and not unread.strip(b"\r\n"):
            self._linger()  # empty lines came with the request that is answered now
            return
        super().handle_events()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP; in JSON, as all errors."""
        if msg.startswith("Invalid HTTP"):  # uvicorn's message, which names nothing
            msg = "the request is not valid HTTP/1.1"
        self._end("400 Bad Request", msg)

    def on_response_complete(self) -> None:
        is_body_unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if is_body_unread or (self._is_half_closed and self._is_idle):
            self._linger()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_timer = _cancel(self._write_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_timer, self._write_timer, self._probe_timer):
            _cancel(timer)
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_seconds, self._end_slow_headers)

    def _end_slow_headers(self) -> None:
        self._end("408 Request Timeout", "the headers did not come in time")

    def _end(self, status: str, problem: str) -> None:
        """Send an error, unless a response has begun, and close the connection."""
        if self._is_ended or self.transport.is_closing():
            return
        is_answered = not self._is_idle and self.cycle.response_started
        if not self._is_idle:
            self.cycle.disconnected = True  # nothing else is sent
            self.cycle.message_event.set()
        if not is_answered:
            body = json.dumps({"error": problem}).encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._linger()

    def _linger(self) -> None:
        """Close this side of the connection, and the other soon."""
        if self._is_ended or self.transport.is_closing():
            return
        self._is_ended = True
        self._unset_keepalive_if_required()
        self.transport.write_eof()
        if self._is_half_closed:
            self.transport.close()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()

"""HTTP with deadlines, as uvicorn waits for headers without limit."""

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http import h11_impl

HEADERS_SECONDS = 10.0  # from the connection or the last answer to all headers
WRITE_SECONDS = 20.0  # for the client to read a full buffer
MAX_CONNECTIONS = 512
MAX_HEADERS = 16 << 10  # bytes of a request's head


class _Connection(h11.Connection):
  """Refuses heads above MAX_HEADERS, also those that arrive at once.

  h11 limits what is incomplete; a head that one read brings is complete. Bytes
  are counted as they came, with the blanks that h11 strips from values.
  """

  def __init__(self, refuse: Callable[[bytes], None]):
    super().__init__(h11.SERVER, MAX_HEADERS)
    self._refuse = refuse

  def next_event(self) -> Any:  # h11 has no public name for some events
    """As h11's; for a head that is too large no event."""
    before = len(self.trailing_data[0])
    try:
      event = super().next_event()
    except h11.RemoteProtocolError as error:
      if error.error_status_hint != 431:
        raise
      event = None
    head = before - len(self.trailing_data[0])
    if event is None or (isinstance(event, h11.Request) and head > MAX_HEADERS):
      self._refuse(b"431 Request Header Fields Too Large")
      return h11.NEED_DATA
    return event


class Protocol(h11_impl.H11Protocol):
  """One connection.

  Between two requests, and while an answered request still sends its body, the
  client has HEADERS_SECONDS until the body of the next request begins. A client
  that reads nothing of a response is disconnected after WRITE_SECONDS.
  `limits.read_body` sets the deadline of the body.
  """

  _waiting: asyncio.TimerHandle | None = None
  _writing: asyncio.TimerHandle | None = None

  def connection_made(self, transport) -> None:
    """Starts the deadline, or refuses one connection too many."""
    self.conn = _Connection(self._refuse)
    super().connection_made(transport)
    if len(self.connections) > MAX_CONNECTIONS:
      self._refuse(b"503 Service Unavailable", b"retry-after: 5\r\n")
    else:
      self._wait()

  def data_received(self, data: bytes) -> None:
    """Ends the deadline when a request has arrived."""
    super().data_received(data)
    if self._answering():
      self._waiting = _cancelled(self._waiting)

  def on_response_complete(self) -> None:
    """Starts the deadline for the next request."""
    super().on_response_complete()
    if not self._answering():
      self._wait()

  def pause_writing(self) -> None:
    """Starts the deadline of a slow client."""
    super().pause_writing()
    self._writing = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

  def resume_writing(self) -> None:
    """Ends the deadline of a slow client."""
    super().resume_writing()
    self._writing = _cancelled(self._writing)

  def connection_lost(self, exc: Exception | None) -> None:
    """Drops the deadlines."""
    self._waiting = _cancelled(self._waiting)
    self._writing = _cancelled(self._writing)
    super().connection_lost(exc)

  def _answering(self) -> bool:
    return self.cycle is not None and not self.cycle.response_complete

  def _wait(self) -> None:
    self._waiting = _cancelled(self._waiting)
    if not self.transport.is_closing():
      self._waiting = self.loop.call_later(HEADERS_SECONDS, self._expire)

  def _expire(self) -> None:
    if self.cycle is None:
      self._refuse(b"408 Request Timeout")
    elif not self.transport.is_closing():
      self.transport.abort()  # an old client idles or floods: no response

  def _refuse(self, status: bytes, header: bytes = b"") -> None:
    self.transport.write(
      b"HTTP/1.1 %s\r\n%scontent-length: 0\r\nconnection: close\r\n\r\n"
      % (status, header)
    )
    self.transport.close()


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
  if timer is not None:
    timer.cancel()

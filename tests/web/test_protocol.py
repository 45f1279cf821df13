import socket
import threading
import time

import pytest
import uvicorn
from starlette.requests import Request

from signllm_jax.web import limits, protocol

HEAD = b"POST /v1/sign HTTP/1.1\r\nhost: localhost\r\n"
JSON_HEAD = HEAD + b"content-type: application/json\r\n"


@pytest.fixture
def quick(monkeypatch):
  """A server in a thread with short deadlines and a minimal application."""
  monkeypatch.setattr(protocol, "HEADERS_SECONDS", 0.3)
  monkeypatch.setattr(protocol, "WRITE_SECONDS", 0.3)
  monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 4)
  monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)

  async def plain(scope, receive, send):
    size = 50 << 20 if scope["path"] == "/big" else 2
    if scope["method"] == "POST":
      try:
        await limits.read_body(Request(scope, receive))
      except limits.RequestError as error:
        await error.response()(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(max(1, size >> 20)):
      body = b"x" * min(size, 1 << 20)
      await send(
        {"type": "http.response.body", "body": body, "more_body": True}
      )
    await send({"type": "http.response.body"})

  settings = uvicorn.Config(
    plain,
    http=protocol.Protocol,
    ws="none",
    lifespan="off",
    log_config=None,
    timeout_graceful_shutdown=1,
  )
  runner = uvicorn.Server(settings)
  with socket.create_server(("127.0.0.1", 0)) as listening:
    port = listening.getsockname()[1]
    thread = threading.Thread(target=runner.run, args=([listening],))
    thread.start()
    while not runner.started:
      time.sleep(0.01)

    def connect() -> socket.socket:
      return socket.create_connection(("127.0.0.1", port), 5)

    yield connect
    runner.should_exit = True
    thread.join()


def received(s: socket.socket) -> bytes:
  with s:
    return b"".join(iter(lambda: s.recv(65536), b""))


@pytest.mark.parametrize("pieces", [1, 40])
@pytest.mark.parametrize("size", [15, 17, 40, 200])
def test_large_heads_are_refused(quick, size, pieces):
  """R23: also a head that arrives whole, in one piece."""
  head = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: "
  head += b"x" * (size << 10) + b"\r\n\r\n"
  part = -(-len(head) // pieces)
  s = quick()
  try:
    for start in range(0, len(head), part):
      s.sendall(head[start : start + part])
  except (BrokenPipeError, ConnectionResetError):  # refused before its end
    assert size > 16
  answer = received_or_reset(s)
  status = b"HTTP/1.1 200 " if size < 16 else b"HTTP/1.1 431 "
  assert answer.startswith(status) or (size > 64 and not answer)
  if size > 16:  # blanks around a value are bytes of the head
    s = quick()
    blanks = b" " * (size << 10)
    s.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx:%sb\r\n\r\n" % blanks)
    answer = received_or_reset(s)
    assert answer.startswith(status) or (size > 64 and not answer)
  s = quick()  # a long path is a large head, too
  s.sendall(b"GET /%s HTTP/1.1\r\nhost: a\r\n\r\n" % (b"x" * 17000))
  assert received_or_reset(s).startswith(b"HTTP/1.1 431 ")


def test_slow_heads_time_out(quick):
  """R23."""
  for sent in (b"", b"GET / HT", HEAD):
    s = quick()
    s.sendall(sent)
    assert received(s).startswith(b"HTTP/1.1 408 ")
  s = quick()  # and so does the second request of a connection
  s.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nho")
  assert received_or_reset(s).count(b"HTTP/1.1 ") == 1


def test_slow_bodies_time_out(quick):
  """R23."""
  s = quick()
  s.sendall(JSON_HEAD + b"content-length: 9\r\n\r\n{")
  answer = received_or_reset(s)
  assert answer.startswith(b"HTTP/1.1 408 ")


def received_or_reset(s: socket.socket) -> bytes:
  parts = []
  with s:
    try:
      while part := s.recv(65536):
        parts.append(part)
    except ConnectionResetError:
      pass
  return b"".join(parts)


def test_clients_that_do_not_read_are_cut_off(quick):
  s = quick()
  s.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
  time.sleep(1)
  assert len(received_or_reset(s)) < 50 << 20
  s = quick()  # who reads gets all
  s.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
  assert len(received(s)) > 50 << 20


def test_connections_are_counted(quick):
  some = [quick() for _ in range(4)]
  time.sleep(0.1)
  assert received(quick()).startswith(b"HTTP/1.1 503 ")
  for s in some:
    s.close()

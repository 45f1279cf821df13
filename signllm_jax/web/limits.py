"""What the server refuses before a request reaches its handler."""

import asyncio
import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 << 10  # bytes; 5,000 characters, each as two \\u escapes
BODY_SECONDS = 10.0
LOCAL = ("127.0.0.1", "localhost", "::1")
HEADERS = {
  "content-security-policy": "default-src 'none'; script-src 'self'; "
  "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
  "form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
}


class Problem(Exception):
  """A refusal, answered as RFC 9457's problem."""

  def __init__(
    self, status: int, code: str, detail: str, *, retry: int = 0, **more: object
  ):
    """Describes it.

    Args:
      status: of HTTP.
      code: for programs; does not change.
      detail: for people.
      retry: seconds after which it is worth trying again; 0: never.
      more: members of the answer besides.
    """
    super().__init__(detail)
    self.status, self.code, self.retry = status, code, retry
    self._body = {"status": status, "code": code, "detail": detail, **more}

  def response(self) -> Response:
    """The answer."""
    return Response(
      json.dumps(self._body),
      self.status,
      {"retry-after": str(self.retry)} if self.retry else None,
      "application/problem+json",
    )


class Guard:
  """Middleware: foreign hosts and origins are refused, headers are set.

  The list of hosts keeps other sites from reaching a local server by a name of
  theirs that resolves to it; the origin's check keeps their pages from posting.
  """

  def __init__(self, app: ASGIApp, hosts: Iterable[str]):
    self._app = app
    self._hosts = {host.lower() for host in hosts}

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuses a request, or passes it on."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return

    async def send_guarded(message: Message) -> None:
      if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
          headers.setdefault(name, value)
        headers.setdefault("cache-control", "no-store")
      await send(message)

    try:
      self._check(scope["method"], Headers(scope=scope))
    except Problem as problem:
      await problem.response()(scope, receive, send_guarded)
    else:
      await self._app(scope, receive, send_guarded)

  def _check(self, method: str, headers: Headers) -> None:
    host = headers.get("host", "")
    try:
      name = urlsplit(f"//{host}").hostname
    except ValueError:  # such as an unclosed [
      name = None
    if "@" in host or name not in self._hosts:
      raise Problem(
        421, "host", "This server does not answer for that host name."
      )
    if method in ("GET", "HEAD"):
      return
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    if origin not in (
      None,
      f"http://{host}",
      f"https://{host}",
    ) or site not in ("same-origin", "none"):
      raise Problem(403, "origin", "Requests of other sites are refused.")


async def read_body(request: Request) -> bytes:
  """The body of a request with JSON.

  Raises:
    Problem: another media type, larger than MAX_BODY, or not there within
      BODY_SECONDS.
  """
  kind = request.headers.get("content-type", "").partition(";")[0]
  if kind.strip().lower() != "application/json":
    raise Problem(
      415, "media_type", "Send JSON with content-type: application/json."
    )
  large = Problem(413, "too_large", f"The body has over {MAX_BODY} bytes.")
  if int(request.headers.get("content-length", 0)) > MAX_BODY:
    raise large
  body = bytearray()
  try:
    async with asyncio.timeout(BODY_SECONDS):
      async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
          raise large
  except TimeoutError:
    raise Problem(
      408, "slow", f"The body was not there within {BODY_SECONDS:g} seconds."
    ) from None
  except ClientDisconnect:
    raise Problem(400, "disconnected", "The client went away.") from None
  return bytes(body)

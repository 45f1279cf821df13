"""Refusals of the server, and the checks before a request is handled."""

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signllm_jax.core import errors
from signllm_jax.web import schema

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
_PREFLIGHT = {
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers": "content-type",
  "access-control-max-age": "600",
}


class RequestError(Exception):
  """A refusal, answered as `schema.Problem`."""

  def __init__(
    self,
    status: int,
    code: str,
    detail: str,
    *,
    retry: int = 0,
    unknown: list[str] | UnsetType = UNSET,
  ):
    """Makes the error.

    Args:
      status: of HTTP.
      code: for programs; stays the same between versions.
      detail: for people.
      retry: seconds after which it is worth trying again; 0: never.
      unknown: characters or words that the model does not know.
    """
    super().__init__(detail)
    self.retry = retry
    self.problem = schema.Problem(
      status=status, code=code, detail=valid_unicode(detail), unknown=unknown
    )

  def response(self) -> Response:
    """The response."""
    return Response(
      msgspec.json.encode(self.problem),
      self.problem.status,
      {"retry-after": str(self.retry)} if self.retry else None,
      "application/problem+json",
    )


def valid_unicode(text: str) -> str:
  """Replaces lone surrogates, which UTF-8 cannot encode."""
  return text.encode(errors="replace").decode()


class Guard:
  """Middleware that refuses foreign hosts and origins, and sets headers.

  The list of hosts keeps other sites from reaching a local server by a name of
  theirs that resolves to it; the check of the origin keeps their pages from
  posting, unless they are allowed (CORS).
  """

  def __init__(
    self, app: ASGIApp, hosts: Iterable[str], origins: Iterable[str] = ()
  ):
    """Wraps an application.

    Args:
      app: the application.
      hosts: names it answers for.
      origins: of other sites whose pages may use the API, from
        `parse_origin`.
    """
    self._app = app
    self._hosts = {host.lower() for host in hosts}
    self._origins = frozenset(origins)

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuses a request, or passes it on."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    allowed = origin if origin in self._origins else None

    async def send_guarded(message: Message) -> None:
      if message["type"] == "http.response.start":
        self._set_headers(MutableHeaders(scope=message), allowed)
      await send(message)

    try:
      self._check(scope["method"], headers)
    except RequestError as error:
      await error.response()(scope, receive, send_guarded)
      return
    if scope["method"] == "OPTIONS" and allowed:
      await Response(status_code=204, headers=_PREFLIGHT)(
        scope, receive, send_guarded
      )
      return
    await self._app(scope, receive, send_guarded)

  def _set_headers(self, headers: MutableHeaders, allowed: str | None) -> None:
    for name, value in HEADERS.items():
      headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-store")
    if self._origins:
      headers.add_vary_header("Origin")
    if allowed:
      headers["access-control-allow-origin"] = allowed
      headers["access-control-expose-headers"] = (
        "content-disposition, retry-after"
      )
      headers["cross-origin-resource-policy"] = "cross-origin"

  def _check(self, method: str, headers: Headers) -> None:
    host = headers.get("host", "")
    try:
      name = urlsplit(f"//{host}").hostname
    except ValueError:  # such as an unclosed [
      name = None
    if "@" in host or name not in self._hosts:
      raise RequestError(
        421, "host", "This server does not answer for that host name."
      )
    origin = headers.get("origin")
    if method in ("GET", "HEAD") or origin in self._origins:
      return
    site = headers.get("sec-fetch-site", "same-origin")
    if origin not in (
      None,
      f"http://{host}",
      f"https://{host}",
    ) or site not in ("same-origin", "none"):
      raise RequestError(
        403,
        "origin",
        "Requests of other sites are refused. Start the server with "
        "--allow_origin to allow one.",
      )


def parse_origin(text: str) -> str:
  """Checks an origin, such as https://example.org or http://localhost:5173.

  Raises:
    UsageError: it is none.
  """
  try:
    parts = urlsplit(text)
    port = parts.port
  except ValueError:
    parts, port = urlsplit(""), None
  host = parts.hostname or ""
  shown = f"[{host}]" if ":" in host else host
  origin = f"{parts.scheme}://{shown}" + (f":{port}" if port else "")
  if parts.scheme not in ("http", "https") or not host or text != origin:
    raise errors.UsageError(
      f"--allow_origin={text}",
      expected="scheme, host and port as a browser sends them, without a "
      "path: https://example.org or http://localhost:5173",
    )
  return origin


async def read_body(request: Request) -> bytes:
  """Reads the body of a request with JSON.

  Raises:
    RequestError: another media type, larger than MAX_BODY, or not complete
      within BODY_SECONDS.
  """
  kind = request.headers.get("content-type", "").partition(";")[0]
  if kind.strip().lower() != "application/json":
    raise RequestError(
      415, "media_type", "Send JSON with content-type: application/json."
    )
  too_large = RequestError(
    413, "too_large", f"The body has over {MAX_BODY} bytes."
  )
  if int(request.headers.get("content-length", 0)) > MAX_BODY:
    raise too_large
  body = bytearray()
  try:
    async with asyncio.timeout(BODY_SECONDS):
      async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
          raise too_large
  except TimeoutError:
    raise RequestError(
      408, "slow", f"The body did not arrive within {BODY_SECONDS:g} seconds."
    ) from None
  except ClientDisconnect:
    raise RequestError(400, "disconnected", "The client went away.") from None
  return bytes(body)

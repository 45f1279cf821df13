"""The server's paths: the page, the API, and what operators ask."""

import asyncio
import concurrent.futures
import contextlib
import itertools
import json
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from signllm_jax.core import errors, skeleton
from signllm_jax.inference import postprocess, text_input
from signllm_jax.visualization import skeleton_drawing
from signllm_jax.web import answers, assets, download, limits, schema
from signllm_jax.web import engine as engine_lib
from signllm_jax.web import metrics as metrics_lib

RETRY = 2  # seconds after which a refused client may come again
DRAWINGS = 4  # downloads that may wait for the one thread that draws


class _Asked(NamedTuple):
  engine: engine_lib.Engine
  reading: text_input.PreparedText
  how: engine_lib.Asked
  suffix: str


class Site:
  """The application, and the thread that draws downloads."""

  def __init__(
    self,
    engines: Sequence[engine_lib.Engine],
    metrics: metrics_lib.Metrics,
    *,
    hosts: Iterable[str],
    slots: int,
  ):
    """Builds it.

    Args:
      engines: of the model in each of its languages, then of the one to
        compare it with if there is one.
      metrics: to report to.
      hosts: names this server answers for.
      slots: requests for signing that are answered at a time; each holds its
        clip in memory until its last byte is sent.
    """
    self._engines, self._metrics = engines, metrics
    self._slots, self._taken, self._drawing = slots, 0, 0
    self._assets = assets.read()
    self._draws = concurrent.futures.ThreadPoolExecutor(1, "draws")
    routes = [
      Route("/", self._page),
      Route("/static/{name}", self._static),
      Route("/openapi.json", self._openapi),
      Route("/v1/info", self._info),
      Route("/v1/sign", _Signs(self, self._sign), methods=["POST"]),
      Route("/v1/sign/stream", _Signs(self, self._stream), methods=["POST"]),
      Route("/v1/download", _Signs(self, self._download), methods=["POST"]),
      Route("/healthz", self._health),
      Route("/readyz", self._ready),
      Route("/metrics", self._show_metrics),
    ]
    app: ASGIApp = Starlette(
      routes=routes,
      exception_handlers={
        limits.Problem: _answer_problem,
        HTTPException: _answer_http,
      },
    )
    app = limits.Guard(app, hosts)
    paths = frozenset(route.path for route in routes if "{" not in route.path)
    self.app = metrics_lib.Observe(app, metrics, paths)

  def stop(self) -> bool:
    """Drops drawings that wait; False if one is being made."""
    self._draws.shutdown(wait=False, cancel_futures=True)
    return not self._drawing

  @contextlib.contextmanager
  def slot(self) -> Iterator[None]:
    """One of the places for requests that are being signed and answered.

    Raises:
      Problem: all are taken.
    """
    if self._taken >= self._slots:
      raise limits.Problem(
        503, "busy", "Too many requests at a time.", retry=RETRY
      )
    self._taken += 1
    try:
      yield
    finally:
      self._taken -= 1

  # Page

  async def _page(self, request: Request) -> Response:
    return self._asset(request, "index.html")

  async def _static(self, request: Request) -> Response:
    return self._asset(request, request.path_params["name"])

  async def _openapi(self, request: Request) -> Response:
    return self._asset(request, "openapi.json")

  def _asset(self, request: Request, name: str) -> Response:
    asset = self._assets.get(name)
    if asset is None:
      raise limits.Problem(404, "not_found", "There is no such file.")
    headers = {"etag": asset.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == asset.tag:
      return Response(status_code=304, headers=headers)
    return Response(asset.content, 200, headers, asset.media_type)

  # Operators

  async def _health(self, request: Request) -> Response:
    return _json({"status": "alive"})

  async def _ready(self, request: Request) -> Response:
    for engine in self._engines:
      if not engine.ready:
        reason = engine.failure or "the model is being warmed up"
        raise limits.Problem(503, "not_ready", reason, retry=RETRY)
    return _json({"status": "ready"})

  async def _show_metrics(self, request: Request) -> Response:
    return Response(
      self._metrics.text(),
      media_type="text/plain; version=0.0.4; charset=utf-8",
    )

  # API

  async def _info(self, request: Request) -> Response:
    return _json(
      {
        "models": [
          {"name": name, "languages": [answers.describe(e) for e in engines]}
          for name, engines in itertools.groupby(
            self._engines, lambda engine: engine.name
          )
        ],
        "formats": [
          {"format": suffix, "name": name}
          for suffix, (name, _) in download.FORMATS.items()
        ],
        "modes": schema.MODES,
        "max_text": schema.MAX_TEXT,
        "skeleton": {
          "joints": skeleton.JOINT_NAMES,
          "limbs": [limb[:2] for limb in skeleton.LIMBS],
          "hands": skeleton_drawing.HANDS,
          "colours": {
            "bone": skeleton_drawing.BONE,
            "right": skeleton_drawing.RIGHT,
            "left": skeleton_drawing.LEFT,
          },
        },
      }
    )

  async def _sign(self, request: Request, asked: "_Asked") -> Response:
    engine, reading, how, _ = asked
    whole = await _await(request, engine.sign(how))
    return _json(
      {
        **await answers.head(engine, reading),
        **answers.tail(whole),
        "frames": answers.frames(whole.clip),
      }
    )

  async def _stream(self, request: Request, asked: "_Asked") -> Response:
    engine, reading, how, _ = asked
    parts = engine.stream(how)
    # The first part before the status: until then it may still be an error.
    first = await _await(request, anext(parts))
    head = {"type": "start", **await answers.head(engine, reading)}
    return StreamingResponse(
      answers.lines(head, first, parts), media_type="application/x-ndjson"
    )

  async def _download(self, request: Request, asked: "_Asked") -> Response:
    engine, _, how, suffix = asked
    if suffix not in download.FORMATS:
      raise limits.Problem(
        422, "format", f"format must be one of {', '.join(download.FORMATS)}."
      )
    whole = await _await(request, engine.sign(how))
    if self._drawing >= DRAWINGS:
      raise limits.Problem(
        503, "busy", "Too many files are being drawn.", retry=RETRY
      )
    self._drawing += 1
    work = self._draws.submit(download.make, whole.clip, suffix)
    try:
      file = await asyncio.wrap_future(work)
    finally:
      self._drawing -= 1
    name = f'attachment; filename="{file.name}"'
    headers = {"content-disposition": name}
    return Response(file.content, 200, headers, file.media_type)

  async def read(self, request: Request) -> "_Asked":
    """What a request asks for; raises Problem."""
    wanted = schema.read(await limits.read_body(request))
    engine = schema.choose(wanted, self._engines)
    if not engine.ready:
      raise limits.Problem(
        503, "not_ready", "The model is not ready yet.", retry=RETRY
      )
    reading = schema.understand(wanted, engine)
    options = postprocess.Options(
      wanted.speed, wanted.smooth, wanted.constant_bones
    )
    how = engine_lib.Asked(reading.parts, options)
    return _Asked(engine, reading, how, wanted.format)


class _Signs:
  """An endpoint that signs: reads, takes a slot, answers."""

  def __init__(self, site: Site, handler):
    self._site, self._handler = site, handler

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    # A raw application, not a handler: the slot is held to the last byte. It is
    # taken after the body, so that slow clients hold none.
    request = Request(scope, receive, send)
    asked = await self._site.read(request)
    with self._site.slot():
      response = await self._handler(request, asked)
      await response(scope, receive, send)


async def _await(request: Request, work: Awaitable) -> Any:
  """The result of signing, unless the client goes away before."""
  signing = asyncio.ensure_future(work)
  leaving = asyncio.ensure_future(request.receive())
  try:
    await asyncio.wait((signing, leaving), return_when=asyncio.FIRST_COMPLETED)
    if not signing.done():
      raise limits.Problem(400, "disconnected", "The client went away.")
    return signing.result()
  except errors.NonFiniteError as error:
    raise limits.Problem(500, "non_finite", str(error)) from None
  finally:
    signing.cancel()
    leaving.cancel()


async def _answer_problem(request: Request, error: Any) -> Response:
  return error.response()


async def _answer_http(request: Request, error: Any) -> Response:
  """404 and 405 of the router."""
  problem = limits.Problem(error.status_code, "no_path", error.detail)
  response = problem.response()
  response.headers.update(error.headers or {})
  return response


def _json(value: Any) -> Response:
  return Response(
    json.dumps(value, separators=(",", ":")), media_type="application/json"
  )

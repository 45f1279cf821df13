"""The routes of the server: the page, the API, and paths for operators."""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import (
  Awaitable,
  Callable,
  Collection,
  Iterable,
  Iterator,
  Sequence,
)
from typing import NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from signllm_jax.inference import pauses, postprocess, text_input
from signllm_jax.web import (
  answers,
  assets,
  download,
  embed,
  jobs,
  limits,
  openapi,
  requests,
  responses,
  schema,
)
from signllm_jax.web import engine as engine_lib
from signllm_jax.web import metrics as metrics_lib

RETRY = 2  # seconds after which a refused client may come again
MAX_DRAWINGS = 4  # downloads that may wait for the one thread that draws


class _Resolved(NamedTuple):
  """A valid request, with the model that answers and the text it is given."""

  request: schema.SignRequest
  engine: engine_lib.Engine
  text: text_input.PreparedText
  task: jobs.SigningTask


class Site:
  """The application, and the thread that draws downloads."""

  def __init__(
    self,
    engines: Sequence[engine_lib.Engine],
    metrics: metrics_lib.Metrics,
    *,
    hosts: Iterable[str],
    origins: Collection[str] = (),
    slots: int,
  ):
    """Builds the application.

    Args:
      engines: of the model in each of its languages, then of the one to
        compare it with if there is one.
      metrics: counters of the server.
      hosts: names this server answers for.
      origins: of other sites whose pages may use it.
      slots: requests for signing that are answered at a time; each holds its
        clip in memory until its last byte is sent.
    """
    self._engines, self._metrics, self._origins = engines, metrics, origins
    self._slots, self._busy, self._drawing = slots, 0, 0
    description = msgspec.json.encode(openapi.document())
    self._assets = assets.read()
    self._assets["openapi.json"] = assets.make(description, "application/json")
    self._drawer = concurrent.futures.ThreadPoolExecutor(1, "draws")
    ask, ask_file = schema.SignRequest, schema.DownloadRequest
    routes = [
      Route("/", self._page),
      Route("/static/{name}", self._static),
      Route("/openapi.json", self._openapi),
      Route("/embed", _RawApp(self._embed), methods=["GET"]),
      Route("/v1/info", self._info),
      _sign_route("/v1/sign", self, ask, self._sign),
      _sign_route("/v1/sign/stream", self, ask, self._stream),
      _sign_route("/v1/download", self, ask_file, self._download),
      Route("/healthz", self._health),
      Route("/readyz", self._ready),
      Route("/metrics", self._show_metrics),
    ]
    app: ASGIApp = Starlette(
      routes=routes,
      exception_handlers={
        limits.RequestError: answers.request_error,
        HTTPException: answers.http_error,
      },
    )
    app = limits.Guard(app, hosts, origins)
    paths = frozenset(route.path for route in routes if "{" not in route.path)
    self.app = metrics_lib.Observe(app, metrics, paths)

  def stop(self) -> bool:
    """Drops drawings that wait; False if one is being drawn."""
    self._drawer.shutdown(wait=False, cancel_futures=True)
    return not self._drawing

  @contextlib.contextmanager
  def slot(self) -> Iterator[None]:
    """Holds one of the places for requests that are being answered.

    Raises:
      RequestError: all are taken.
    """
    if self._busy >= self._slots:
      raise limits.RequestError(
        503, "busy", "Too many requests at a time.", retry=RETRY
      )
    self._busy += 1
    try:
      yield
    finally:
      self._busy -= 1

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
      raise limits.RequestError(404, "not_found", "There is no such file.")
    headers = {"etag": asset.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == asset.tag:
      return Response(status_code=304, headers=headers)
    return Response(asset.content, 200, headers, asset.media_type)

  # Operators

  async def _health(self, request: Request) -> Response:
    return answers.json(schema.Status(status="alive"))

  async def _ready(self, request: Request) -> Response:
    for engine in self._engines:
      if not engine.ready:
        reason = engine.failure or "the model is being warmed up"
        raise limits.RequestError(503, "not_ready", reason, retry=RETRY)
    return answers.json(schema.Status(status="ready"))

  async def _show_metrics(self, request: Request) -> Response:
    return Response(
      self._metrics.text(),
      media_type="text/plain; version=0.0.4; charset=utf-8",
    )

  # API

  async def _info(self, request: Request) -> Response:
    return answers.json(responses.info(self._engines))

  async def _sign(self, connection: Request, resolved: _Resolved) -> Response:
    signing = resolved.engine.sign(resolved.task)
    signed = await answers.while_connected(connection, signing)
    return answers.json(
      schema.Signing(
        **await responses.start(*resolved[1:]),
        **responses.end(signed),
        frames=responses.frames(signed.clip),
      )
    )

  async def _stream(self, connection: Request, resolved: _Resolved) -> Response:
    chunks = resolved.engine.stream(resolved.task)
    # The first chunk before the status: until then it may still be an error.
    first = await answers.while_connected(connection, anext(chunks))
    start = schema.StartLine(**await responses.start(*resolved[1:]))
    return StreamingResponse(
      responses.stream(start, first, chunks), media_type="application/x-ndjson"
    )

  async def _download(
    self, connection: Request, resolved: _Resolved
  ) -> Response:
    assert isinstance(resolved.request, schema.DownloadRequest)
    suffix = resolved.request.format
    signing = resolved.engine.sign(resolved.task)
    signed = await answers.while_connected(connection, signing)
    if self._drawing >= MAX_DRAWINGS:
      raise limits.RequestError(
        503, "busy", "Too many files are being drawn.", retry=RETRY
      )
    self._drawing += 1
    seed = resolved.task.seed if resolved.engine.stochastic else None
    drawing = self._drawer.submit(download.make, signed.clip, suffix, seed)
    try:
      file = await asyncio.wrap_future(drawing)
    finally:
      self._drawing -= 1
    headers = {"content-disposition": download.disposition(file.name)}
    return Response(file.content, 200, headers, file.media_type)

  async def _embed(self, scope: Scope, receive: Receive, send: Send) -> None:
    connection = Request(scope, receive, send)
    theme = "light"
    try:
      await embed.check(connection, self._origins)
      request = requests.decode(embed.body_of(connection), schema.EmbedRequest)
      theme = request.theme
      resolved = self.resolve(request)
      with self.slot():
        signing = resolved.engine.sign(resolved.task)
        signed = await answers.while_connected(connection, signing)
        page = await asyncio.to_thread(embed.page, signed.clip, theme)
        response = embed.response(page, self._origins)
    except limits.RequestError as error:
      response = embed.refusal(error, theme, self._origins)
    await response(scope, receive, send)

  def resolve(self, request: schema.SignRequest) -> _Resolved:
    """Finds the model of a request and prepares its text.

    Raises:
      RequestError: it cannot be answered.
    """
    engine = requests.choose_engine(request, self._engines)
    if not engine.ready:
      raise limits.RequestError(
        503, "not_ready", "The model is not ready yet.", retry=RETRY
      )
    prepared = requests.prepare_text(request, engine)
    options = postprocess.Options(
      request.speed, request.smooth, request.constant_bones
    )
    seed = requests.choose_seed(request, engine)
    (rests,) = pauses.in_seconds([prepared.pauses], request.pause)
    task = jobs.SigningTask(prepared.parts, options, seed, rests)
    return _Resolved(request, engine, prepared, task)


def _sign_route(
  path: str,
  site: Site,
  kind: type[schema.SignRequest],
  handler: Callable[[Request, _Resolved], Awaitable[Response]],
) -> Route:
  """A route that reads a request, takes a slot, and answers."""

  async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    connection = Request(scope, receive, send)
    body = await limits.read_body(connection)
    resolved = site.resolve(requests.decode(body, kind))
    # A slot is taken after the body, so that slow clients hold none, and held
    # to the last byte.
    with site.slot():
      response = await handler(connection, resolved)
      await response(scope, receive, send)

  return Route(path, _RawApp(endpoint), methods=["POST"])


class _RawApp:
  """An endpoint that Starlette calls as an application, not as a handler."""

  def __init__(self, endpoint: ASGIApp):
    self._endpoint = endpoint

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    await self._endpoint(scope, receive, send)

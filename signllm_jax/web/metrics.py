"""Counters of the server for Prometheus, and the middleware that counts."""

import time

import prometheus_client as prometheus
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
  """Counters of the server, in their own registry."""

  def __init__(self):
    self.registry = prometheus.CollectorRegistry()
    prometheus.ProcessCollector(registry=self.registry)
    self.answers = prometheus.Counter(
      "signllm_http_requests",
      "Requests answered.",
      ("path", "status"),
      registry=self.registry,
    )
    self.seconds = prometheus.Histogram(
      "signllm_http_request_seconds",
      "Seconds from the headers of a request to the end of its response.",
      ("path",),
      registry=self.registry,
    )
    self.waiting = prometheus.Gauge(
      "signllm_waiting",
      "Texts that wait for the model.",
      ("model",),
      registry=self.registry,
    )
    self.batch = prometheus.Histogram(
      "signllm_batch_texts",
      "Texts signed together.",
      ("model",),
      buckets=(1, 2, 4, 8),
      registry=self.registry,
    )
    self.sign_seconds = prometheus.Histogram(
      "signllm_batch_seconds",
      "Seconds the model takes for a batch.",
      ("model",),
      registry=self.registry,
    )
    self.frames = prometheus.Counter(
      "signllm_frames", "Frames produced.", ("model",), registry=self.registry
    )

  def text(self) -> bytes:
    """Formats all counters as Prometheus' text."""
    return prometheus.generate_latest(self.registry)


class Observe:
  """Middleware that counts and times responses."""

  def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]):
    """Wraps an application.

    Args:
      app: the application.
      metrics: the counters.
      paths: counted separately; all others are counted together, so that
        clients cannot fill the memory with labels.
    """
    self._app, self._metrics, self._paths = app, metrics, paths

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Passes a request on and counts the response."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    path = scope["path"] if scope["path"] in self._paths else "other"
    began = time.perf_counter()

    async def count(message: Message) -> None:
      if message["type"] == "http.response.start":
        self._metrics.answers.labels(path, str(message["status"])).inc()
      await send(message)

    try:
      await self._app(scope, receive, count)
    finally:
      self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

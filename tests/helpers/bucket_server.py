"""A bucket of Google's on this machine: gcp-storage-emulator in a thread.

The emulator ignores conditions, so `ifGenerationMatch=0` (write only if absent)
is added here as the storage documents it. Faults are set as attributes.
"""

import contextlib
import http
import io
import pathlib
import socket
from collections.abc import Iterator
from email import parser
from typing import Any, NamedTuple

import pytest
from gcp_storage_emulator import exceptions, server
from gcp_storage_emulator.handlers import objects

from signllm_jax.core import paths

NAME = "bucket"
_WRITES = ("POST", "PUT", "DELETE", "PATCH")


def _absent(request: Any, response: Any, storage: Any) -> bool:
  """Whether a write may go on; else it is answered with 412."""
  if request.query.get("ifGenerationMatch") != ["0"]:
    return True
  name = request.query.get("name", [None])[0] or request.data["meta"]["name"]
  try:
    storage.get_file_obj(request.params["bucket_name"], name)
  except exceptions.NotFound:
    return True
  response.status = http.HTTPStatus.PRECONDITION_FAILED
  return False


class _ExactParser:
  """Parses uploads in two parts; the emulator's own changes line ends."""

  class Part(NamedTuple):
    head: bytes
    body: bytes

    def get_payload(self, decode: bool = False) -> bytes | str:
      return self.body if decode else self.body.decode()

    def get_content_type(self) -> str:
      return self.head.split(b":", 1)[1].split(b";")[0].strip().decode()

  def parsebytes(self, data: bytes) -> Any:
    first, _, rest = data.partition(b"\r\n")
    if not first.startswith(b"Content-Type:multipart/related"):
      return parser.BytesParser().parsebytes(data)
    mark = b"--" + first.split(b"boundary=")[1].strip(b"\"' ")
    sections = (b"\n" + rest).split(b"\n" + mark)[1:-1]
    self.parts = [
      self.Part(*each.lstrip(b"\n").split(b"\n\n", 1)) for each in sections
    ]
    return self

  def get_payload(self) -> list["_ExactParser.Part"]:
    return self.parts


class Bucket:
  """A running server with one empty bucket.

  Attributes:
    url: of the bucket, gs://bucket.
    writes_left: writes that are accepted before all are refused; None: all.
    lost_answers: answers that are lost: the connection closes after the work.
    outage: whether connections close without work.
    lists: objects that lists show instead of the true ones; None: the true
      ones.
  """

  def __init__(self):
    with socket.socket() as probe:
      probe.bind(("127.0.0.1", 0))
      self.port = probe.getsockname()[1]
    self.url = f"gs://{NAME}"
    self.writes_left: int | None = None
    self.lost_answers = 0
    self.outage = False
    self.lists: dict[str, Any] | None = None
    self._patch = pytest.MonkeyPatch()
    self._server = server.create_server("127.0.0.1", self.port, True, NAME)
    self.storage = self._server._storage
    self.storage._write_config_to_file = lambda: None  # slow, and not needed

  @property
  def environment(self) -> dict[str, str]:
    """What leads clients here."""
    return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self.port}"}

  def start(self) -> None:
    """Answers from now on."""
    handle, upload = server.Router.handle, objects._multipart_upload
    listed = self.storage._list_live_candidates

    def faulty(router: Any, method: str) -> None:
      handler = router._request_handler
      if handler.server.server_port != self.port:  # of another module's tests
        handle(router, method)
        return
      if self.outage:
        handler.close_connection = True
        return
      if method in _WRITES and self.writes_left is not None:
        if not self.writes_left:
          handler.send_error(403, "writes are refused")
          return
        self.writes_left -= 1
      if self.lost_answers:
        self.lost_answers -= 1
        handler.wfile, handler.close_connection = io.BytesIO(), True
      handle(router, method)

    def conditional(request: Any, response: Any, storage: Any) -> None:
      if _absent(request, response, storage):
        upload(request, response, storage)

    def lagging(bucket_name: str, prefix: str | None = None) -> Any:
      if self.lists is None:
        return listed(bucket_name, prefix)
      entries = sorted(self.lists.items())
      return [each for each in entries if each[0].startswith(prefix or "")]

    self._patch.setattr(server, "BytesParser", _ExactParser)
    self._patch.setattr(server.Router, "handle", faulty)
    self._patch.setattr(objects, "_multipart_upload", conditional)
    self._patch.setattr(self.storage, "_list_live_candidates", lagging)
    self._server.start()
    # Clients that read ahead may hang up in the middle of an answer.
    self._server._api._httpd.handle_error = lambda *_: None

  def stop(self) -> None:
    """Answers no more."""
    self._server.stop()
    self._patch.undo()

  def names(self, prefix: str = "") -> list[str]:
    """The objects of the bucket, whatever lists show."""
    found = self.storage.objects.get(NAME, {})
    return sorted(name for name in found if name.startswith(prefix))

  def content(self, name: str) -> bytes:
    """The bytes of an object."""
    return self.storage.get_file(NAME, name)

  def upload(self, folder: pathlib.Path, name: str) -> str:
    """Copies a folder into the bucket; returns its URL."""
    target = paths.resolve(self.url, name)
    for path in sorted(folder.rglob("*")):
      if path.is_file():
        inside = path.relative_to(folder).as_posix()
        (target / inside).write_bytes(path.read_bytes())
    return f"{self.url}/{name}"

  @contextlib.contextmanager
  def lists_lag(self) -> Iterator[None]:
    """Lists stay as they are while objects come and go."""
    self.lists = dict(self.storage.objects.get(NAME, {}))
    try:
      yield
    finally:
      self.lists = None


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[Bucket]:
  """The server; a test takes `bucket`."""
  server_of_session = Bucket()
  server_of_session.start()
  yield server_of_session
  server_of_session.stop()


@pytest.fixture
def bucket(bucket_server, monkeypatch) -> Bucket:
  """An empty bucket; clients of this process go to it."""
  bucket_server.storage.wipe(keep_buckets=True)
  bucket_server.writes_left, bucket_server.lost_answers = None, 0
  bucket_server.outage = False
  for name, value in bucket_server.environment.items():
    monkeypatch.setenv(name, value)
  return bucket_server

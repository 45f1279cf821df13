import asyncio
import base64
import hashlib
import io
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import types
import zipfile
from typing import Any, get_args
from urllib.parse import unquote

import jsonschema
import numpy as np
import openapi_spec_validator
import psutil
import pytest
import starlette.requests
from helpers import invented_faces
from helpers.flow_models import write_flow_model
from helpers.serving import TEXTS, Server, corpus, make_home, serving
from PIL import Image
from prometheus_client import parser

from signllm_jax import config, serve
from signllm_jax.core import clips, errors, skeleton
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.formats import npz, registry, splits
from signllm_jax.inference import load, long_text, postprocess
from signllm_jax.runs import workdir
from signllm_jax.visualization import figure
from signllm_jax.web import (
  app,
  download,
  embed,
  engine,
  jobs,
  limits,
  metrics,
  openapi,
  requests,
  responses,
  schema,
)

STATIC = pathlib.Path(app.__file__).parent / "static"
SPEC = openapi.document()
QUEUE = 8
FRONT = "http://localhost:5173"  # a front end on a server of its own


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(home):
  with serving(
    home / "run", f"--queue={QUEUE}", f"--allow_origin={FRONT}"
  ) as running:
    yield running


def check(value, name: str) -> None:
  """Validates a value against the OpenAPI document."""
  schema = {"$ref": f"#/components/schemas/{name}", **SPEC}
  jsonschema.Draft202012Validator(schema).validate(value)


def detail(answer) -> str:
  value = json.loads(answer[2])
  check(value, "Problem")
  assert answer[1]["content-type"] == "application/problem+json"
  assert value["status"] == answer[0]
  return value["detail"]


def with_gaps(clip: clips.Clip) -> np.ndarray:
  """Frames [T, 50, 3], NaN where a joint is missing."""
  return np.where(clip.valid[..., None], clip.frames, np.nan)


def test_signing_equals_the_producer(home, server):
  status, _, body = server.post("/v1/sign", {"text": "Wind"})
  made = json.loads(body)
  check(made, "Signing")
  (expected,) = load.load_producer(home / "run").produce(["wind"])
  assert status == 200
  assert made["text"] == "wind"
  assert "'Wind' is read as 'wind'" in made["notes"][0]
  assert made["length"] == len(made["frames"]) == len(expected)
  frames = np.array(made["frames"], float).reshape(-1, 50, 3)
  np.testing.assert_allclose(frames, with_gaps(expected), atol=2e-5)
  assert [span["token"] for span in made["tokens"]][:1] == ["w"]
  starts = [span["start"] for span in made["tokens"]]
  assert starts == sorted(starts)
  assert made["tokens"][-1]["end"] <= len(expected)
  true = np.array(made["true"]["frames"], float)
  assert made["true"]["split"] == "dev"
  assert true.shape == (6 + TEXTS.index("wind"), 150)


@pytest.mark.parametrize("asked", ["norden", "Regen, norden!"])
def test_stream_sends_the_same_frames(server, asked):
  _, headers, body = server.post("/v1/sign/stream", {"text": asked})
  lines = [json.loads(line) for line in body.splitlines()]
  for line in lines:
    check(line, "StreamLine")
  assert headers["content-type"].startswith("application/x-ndjson")
  kinds = [line["type"] for line in lines]
  assert (kinds[0], kinds[-1]) == ("start", "end")
  frames = []
  for line in lines[1:-1]:
    assert line["first"] == len(frames)
    frames += line["frames"]
  # As they were produced, not split from the complete clip.
  assert len(lines[1]["frames"]) != engine.CHUNK_FRAMES
  whole = json.loads(server.post("/v1/sign", {"text": asked})[2])
  assert frames == whole["frames"]
  assert lines[-1]["length"] == len(frames)


def test_sentence_is_signed_word_by_word(home, server):
  """The model was trained on words, without spaces."""
  asked = {"text": "Wind, regen!", "speed": 0.5, "constant_bones": True}
  made = json.loads(server.post("/v1/sign", asked)[2])
  check(made, "Signing")
  assert made["text"] == "wind regen"
  assert "without its punctuation" not in made["notes"][0]
  assert [part["text"] for part in made["parts"]] == ["wind", "regen"]
  tokens = "".join(span["token"] for span in made["tokens"])
  # The limit may have cut either word.
  assert re.fullmatch("wi?n?d?re?g?e?n?", tokens)
  producer = load.load_producer(home / "run")
  options = postprocess.Options(0.5, constant_bones=True)
  (expected,) = long_text.sign(
    producer, [["wind", "regen"]], options, pauses=[[0.25]]
  )
  frames = np.array(made["frames"], float).reshape(-1, 50, 3)
  np.testing.assert_allclose(frames, with_gaps(expected.clip), atol=2e-5)
  gaps = []
  for pause in (0, 0.4):
    made = json.loads(
      server.post("/v1/sign", {"text": "Wind. Regen", "pause": pause})[2]
    )
    first, second = made["parts"]
    gaps.append(second["start"] - first["end"])
  assert gaps == [6, 6 + 30]  # a curve of 0.24 s; three times 0.4 s


def test_stream_that_fails_ends_with_an_error_line():
  """The status has already been sent with the first frames."""
  clip = corpus()[0]

  async def signing():
    yield jobs.Chunk(clip, None)
    raise errors.NonFiniteError("produced frames of 'wind'")

  async def read() -> list[bytes]:
    chunks = signing()
    start = schema.StartLine(
      model="run",
      language="GSL",
      text="wind",
      notes=[],
      seed=None,
      fps=25,
      true=None,
    )
    lines = responses.stream(start, await anext(chunks), chunks)
    return [line async for line in lines]

  first, frames, last = map(json.loads, asyncio.run(read()))
  check(first, "StreamLine")
  check(frames, "StreamLine")
  check(last, "StreamLine")
  assert (last["type"], last["code"]) == ("error", "non_finite")


@pytest.mark.parametrize(
  "question",
  ["How do I sign 'wind'?", "Wie geht „wind“?", 'Sign "wind", please'],
)
def test_prompt_signs_what_is_quoted(server, question):
  asked = {"text": question, "mode": "prompt", "language": "gsl"}
  assert json.loads(server.post("/v1/sign", asked)[2])["text"] == "wind"


@pytest.mark.parametrize(
  ("suffix", "read"),
  [
    (".gif", lambda file: Image.open(file).n_frames),
    (".png", lambda file: Image.open(file).size),
    (".mp4", lambda file: b"ftyp" in file.read(12)),
    (".pose", lambda file: file.read()),
    (".svg", lambda file: b"<svg" in file.read(200)),
    (".bvh", lambda file: file.read(9) == b"HIERARCHY"),
    (".h5", lambda file: file.read(4) == b"\x89HDF"),
  ],
)
def test_downloads(server, suffix, read):
  asked = {"text": "wind", "format": suffix}
  status, headers, body = server.post("/v1/download", asked)
  assert status == 200
  name = f'attachment; filename="wind{suffix}"'
  assert headers["content-disposition"] == name
  assert read(io.BytesIO(body))


def test_downloads_of_poses_are_the_frames(server, tmp_path):
  frames = json.loads(server.post("/v1/sign", {"text": "wind"})[2])["frames"]
  frames = np.array(frames, float).reshape(-1, 50, 3)
  asked = {"text": "wind", "format": ".npz"}
  (tmp_path / "a.npz").write_bytes(server.post("/v1/download", asked)[2])
  (clip,) = npz.read(tmp_path / "a.npz")
  np.testing.assert_allclose(with_gaps(clip), frames, atol=1e-5)
  _, headers, body = server.post("/v1/download", asked | {"format": ".skels"})
  assert headers["content-type"] == "application/zip"
  with zipfile.ZipFile(io.BytesIO(body)) as archive:
    archive.extractall(tmp_path)
  (clip,) = splits.read_split(tmp_path, "wind")
  np.testing.assert_allclose(with_gaps(clip), frames, atol=2e-5)
  for name, form in registry.FRAME_FOLDERS.items():
    _, headers, body = server.post("/v1/download", asked | {"format": name})
    assert headers["content-disposition"].endswith(f'"wind-{name}.zip"')
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
      archive.extractall(tmp_path / name)
    (found,) = form.find(tmp_path / name)
    assert len(found.rows()[0]) == len(frames)


@pytest.mark.parametrize(
  ("value", "status", "message"),
  [
    ({"text": ""}, 422, "The text is empty"),
    ({"text": " \t\n"}, 422, "The text is empty"),
    ({"text": "😀"}, 422, "knows none of the characters of '😀'"),
    ({"text": "wind😀x!"}, 422, "cannot spell '😀', 'x'"),
    ({"text": "wind " * 21}, 422, "in 21 parts; at most 20"),
    ({"text": "wind", "speed": 3}, 422, "speed must be from 0.5 to 2"),
    ({"text": "wind", "speed": True}, 422, "speed must be a number"),
    ({"text": "wind", "smooth": 1}, 422, "smooth must be true or false"),
    ({"text": "w" * 40}, 422, "has 40 characters; this model takes at most"),
    ({"text": "w" * 5001}, 422, "5,001 characters"),
    ({"text": "\ud800wind"}, 422, "not Unicode"),
    ({"text": "wind", "language": "ASL"}, 422, "signs GSL, not ASL"),
    ({"text": "wind", "language": "XX"}, 422, "nknown sign language 'XX'"),
    ({"text": "wind", "mode": "gloss"}, 422, "mode must be one of"),
    ({"text": "wind", "mode": "prompt"}, 422, "in quotation marks"),
    ({"text": "'wind' in ASL?", "mode": "prompt"}, 422, "GSL, not ASL"),
    ({"text": "wind", "model": "x"}, 422, "model must be one of run"),
    ({"text": "wind", "seed": -1}, 422, "seed must be from 0 to 4294967295"),
    ({"text": "wind", "seed": 2**32}, 422, "seed must be from 0 to 4294967295"),
    ({"text": "wind", "seed": 2**70}, 422, "seed must be"),
    ({"text": "wind", "seed": 1.5}, 422, "seed must be a whole number"),
    ({"text": 7}, 422, "text must be a string"),
    ({"text": None}, 422, "text must be a string"),
    ({}, 422, "text is missing"),
    ({"text": "wind", "frames": "1"}, 422, "Unknown: 'frames'"),
    ({"text": "wind", "format": ".gif"}, 422, "Unknown: 'format'"),
    ({"text": "wind", "\ud800": 1}, 422, "Known: text, language, mode, model"),
    ({"text": "wind", "speed": float("nan")}, 422, "speed must be from 0.5"),
    ([], 422, "must be a JSON object"),
    (b"", 400, "Not JSON"),
    (b'{"text": "\xff"}', 400, "Not JSON"),
    (b"[" * 60_000, 400, "Not JSON"),
    (b'{"text": "a", "text": "b"}', 400, "key 'text' twice in one object"),
    (b'{"text": ' + b"9" * 50_000 + b"}", 400, "Not JSON"),
    (b" " * (limits.MAX_BODY + 1), 413, "over 65536 bytes"),
  ],
  ids=range(35),
)
def test_wrong_requests(server, value, status, message):
  answer = server.post("/v1/sign", value)
  assert message in detail(answer)
  assert answer[0] == status


def test_a_long_part_is_told_in_words():
  """Of a model of words that spells the others."""
  vocabulary = vocabulary_lib.build_vocabulary(
    ["the wind", "the sun", "the"], "words+characters", min_count=2
  )
  served: Any = types.SimpleNamespace(
    info=types.SimpleNamespace(vocabulary=vocabulary), max_tokens=8
  )
  requests._check_parts(["the the the", "the sun"], served)
  with pytest.raises(limits.RequestError) as refused:
    requests._check_parts(["the the", "the wind the sun"], served)
  assert (
    "A part of the text has 4 words, of which 2 are unknown and spelt: 11 "
    "words and letters; this model takes at most 7 of them"
  ) in str(refused.value)


def test_unknown_characters_are_listed(server):
  answer = server.post("/v1/sign", {"text": "x wind 😀x"})
  assert json.loads(answer[2])["unknown"] == ["x", "😀"]
  answer = server.post("/v1/download", {"text": "wind", "format": ".exe"})
  assert (answer[0], "format must be one" in detail(answer)) == (422, True)
  answer = server.post("/v1/download", {"text": "wind"})
  assert (answer[0], detail(answer)) == (422, "format is missing.")


def test_foreign_hosts_and_origins(server):
  ask = {"text": "wind"}
  for host in ("evil.example", "127.0.0.1.evil.example", "a@127.0.0.1", "["):
    assert server.ask("GET", "/", headers={"host": host})[0] == 421
  for host in ("localhost", "LOCALHOST:99", "[::1]:5"):
    assert server.ask("GET", "/healthz", headers={"host": host})[0] == 200
  own = f"http://127.0.0.1:{server.port}"
  assert server.post("/v1/sign", ask, origin=own)[0] == 200
  for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
    assert server.post("/v1/sign", ask, origin=origin)[0] == 403
  assert server.post("/v1/sign", ask, sec_fetch_site="cross-site")[0] == 403
  answer = server.ask("POST", "/v1/sign", b"{}", {"content-type": "text/plain"})
  assert (answer[0], "Send JSON" in detail(answer)) == (415, True)


def test_an_allowed_origin_may_use_the_api(server):
  ask = {"text": "wind", "format": ".npz"}
  preflight = {
    "origin": FRONT,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
  }
  status, headers, _ = server.ask("OPTIONS", "/v1/sign", headers=preflight)
  assert status == 204
  assert headers["access-control-allow-origin"] == FRONT
  assert headers["access-control-allow-headers"] == "content-type"
  status, headers, _ = server.post(
    "/v1/download", ask, origin=FRONT, sec_fetch_site="cross-site"
  )
  assert status == 200
  assert headers["access-control-allow-origin"] == FRONT
  assert "content-disposition" in headers["access-control-expose-headers"]
  assert headers["vary"] == "Origin"
  refused = server.post("/v1/sign", {"text": ""}, origin=FRONT)
  assert (refused[0], refused[1]["access-control-allow-origin"]) == (422, FRONT)
  other = preflight | {"origin": "http://localhost:5174"}
  status, headers, _ = server.ask("OPTIONS", "/v1/sign", headers=other)
  assert status == 403 and "access-control-allow-origin" not in headers
  _, headers, _ = server.ask("GET", "/v1/info")
  assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
  "text",
  ["*", "localhost:5173", "http://a/", "http://a/b", "ftp://a", "http://a:x",
   "http://", "HTTP://a", "http://u@a", "null"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(text):
  with pytest.raises(errors.UsageError, match="expected scheme, host and port"):
    limits.parse_origin(text)
  assert limits.parse_origin(FRONT) == FRONT
  assert limits.parse_origin("https://[::1]:99") == "https://[::1]:99"


def test_a_page_for_frames_has_no_script(server):
  path = "/embed?text=wind&constant_bones=true&theme=dark"
  status, headers, body = server.ask("GET", path)
  page = body.decode()
  assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
  policy = headers["content-security-policy"]
  assert f"frame-ancestors 'self' {FRONT}" in policy
  assert "default-src 'none'" in policy and "script-src" not in policy
  style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
  digest = hashlib.sha256(style.encode()).digest()
  assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
  assert "<script" not in page and " style=" not in page
  assert page.count("<animate ") > 40 and "wind</h1>" in page
  assert '<body class="dark">' in page
  for query, code, message in (
    ("text=", 422, "The text is empty"),
    ("text=wind&seed=x", 422, "seed must be a whole number"),
    ("text=wind&text=b", 422, "text is given twice"),
    ("text=wind&format=.gif", 422, "Unknown: &#x27;format&#x27;"),
    ("text=%3Cb%3E", 422, "&lt;"),
  ):
    status, headers, body = server.ask("GET", f"/embed?{query}")
    assert (status, message in body.decode()) == (code, True), body
    assert "<b>" not in body.decode()
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_without_an_allowed_origin_no_other_site_embeds():
  scope = {"type": "http", "headers": [(b"sec-fetch-site", b"cross-site")]}

  async def receive() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}

  asked = starlette.requests.Request(scope, receive)
  asyncio.run(embed.check(asked, [FRONT]))
  with pytest.raises(limits.RequestError, match="--allow_origin"):
    asyncio.run(embed.check(asked, []))


@pytest.mark.parametrize(
  ("text", "name", "plain"),
  [
    ("wind", "wind.gif", "wind.gif"),
    ("Guten Morgen!", "guten-morgen.gif", "guten-morgen.gif"),
    ("Müller", "müller.gif", "muller.gif"),
    ("안녕하세요", "안녕하세요.gif", "signing.gif"),
    ("中文 字", "中文-字.gif", "-.gif"),
    ("नमस्ते", "नमस्ते.gif", "signing.gif"),
    ("../../etc\\passwd\0", "etc-passwd.gif", "etc-passwd.gif"),
    ('a"b\r\nc', "a-b-c.gif", "a-b-c.gif"),
    ("con", "sign-con.gif", "sign-con.gif"),
    ("😀", "signing.gif", "signing.gif"),
    ("ä" * 99, "ä" * 30 + ".gif", "a" * 30 + ".gif"),
  ],
)
def test_names_of_downloads(text, name, plain):
  assert download.file_stem(text) + ".gif" == name
  header = download.disposition(name)
  assert header.isascii() and "\n" not in header
  full = re.findall(r"filename\*=UTF-8''(\S+)", header)
  assert (unquote(full[0]) if full else name) == name
  plain = "signing.gif" if plain == "-.gif" else plain
  assert f'filename="{plain}"' in header


def raw(server: Server, *parts: bytes, timeout: float = 15) -> bytes:
  """The whole response; b"" if the connection is reset."""
  with socket.create_connection(("127.0.0.1", server.port), timeout) as s:
    try:
      for part in parts:
        s.sendall(part)
      s.shutdown(socket.SHUT_WR)
      return b"".join(iter(lambda: s.recv(65536), b""))
    except (ConnectionResetError, BrokenPipeError):
      return b""


@pytest.mark.parametrize(
  ("path", "status"),
  [
    ("/static/../app.py", 404),
    ("/static/..%2fapp.py", 404),
    ("/static/%2e%2e%2f%2e%2e%2fserve.py", 404),
    ("/static//etc/passwd", 404),
    ("/static/..\\app.py", 404),
    ("/static/main.js%00", 404),
    ("/../../etc/passwd", 404),
    ("/v1/sign", 405),
    ("http://evil.example/", 404),
  ],
)
def test_paths(server, path, status):
  line = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
  answer = raw(server, line.encode())
  assert answer.startswith(b"HTTP/1.1 %d " % status)
  assert b"import" not in answer


HEAD = b"POST /v1/sign HTTP/1.1\r\nhost: localhost\r\n"
JSON_HEAD = HEAD + b"content-type: application/json\r\n"


@pytest.mark.parametrize(
  ("parts", "status"),
  [
    ((JSON_HEAD, b"content-length: 99999999999\r\n\r\n"), b"413"),
    (
      (
        JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n",
        *([b"4000\r\n" + b" " * 0x4000 + b"\r\n"] * 5),
      ),
      b"413",
    ),
    ((JSON_HEAD, b"transfer-encoding: chunked\r\n\r\nzz\r\n"), b"400"),
    ((HEAD, b"x: " + b"a" * 20_000), b"431"),
    ((b"GET / HTTP/1.1\r\n\r\n",), b"400"),
    ((b"GET / HTTP/1.0\r\n\r\n",), b"421"),
    ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",), b"400"),
    ((HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",), b"400"),
  ],
  ids=range(8),
)
def test_hostile_bytes(server, parts, status):
  """R23."""
  assert raw(server, *parts)[9:12] == status


def test_responses_have_security_headers(server):
  for path in ("/", "/static/main.js", "/v1/info", "/nowhere"):
    _, headers, _ = server.ask("GET", path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers
    assert "server" not in headers
  page = (STATIC / "index.html").read_text()
  assert "style=" not in page
  assert "<script>" not in page
  for file in STATIC.iterdir():
    text = file.read_text()
    for scheme in ("https://", "http://"):
      assert scheme not in text.replace("http://www.w3.org/2000/svg", ""), file


def test_page_is_revalidated(server):
  _, headers, body = server.ask("GET", "/")
  assert body == (STATIC / "index.html").read_bytes()
  again = server.ask("GET", "/", headers={"if-none-match": headers["etag"]})
  assert (again[0], again[2]) == (304, b"")


def test_description_is_valid_and_complete(server):
  openapi_spec_validator.validate(SPEC)
  assert json.loads(server.ask("GET", "/openapi.json")[2]) == SPEC
  info = json.loads(server.ask("GET", "/v1/info")[2])
  check(info, "Info")
  (model,) = info["models"]
  (language,) = model["languages"]
  assert not model["stochastic"]
  assert (language["code"], language["timed"]) == ("GSL", True)
  assert language["examples"] == list(TEXTS)
  formats = [form["format"] for form in info["formats"]]
  assert formats == list(download.FORMATS)
  assert set(formats) == set(get_args(schema.FileFormat))
  for path, methods in SPEC["paths"].items():
    for method in methods:
      status, _, _ = server.ask(method.upper(), path)
      assert status not in (404, 405)


def test_a_seed_without_effect_is_noted(server):
  asked = {"text": "wind", "seed": 3.0}  # an integer of JSON Schema
  made = json.loads(server.post("/v1/sign", asked)[2])
  check(made, "Signing")
  assert made["seed"] is None
  assert any("the seed has no effect" in note for note in made["notes"])
  plain = json.loads(server.post("/v1/sign", {"text": "wind"})[2])
  assert made["frames"] == plain["frames"]
  assert not any("seed" in note for note in plain["notes"])


@pytest.fixture(scope="module")
def generative(tmp_path_factory):
  """A server over a model that signs by a seed."""
  folder = tmp_path_factory.mktemp("flow")
  with serving(write_flow_model(folder / "flow.safetensors")) as running:
    yield running


def signed(server: Server, **asked) -> dict:
  made = json.loads(server.post("/v1/sign", asked)[2])
  check(made, "Signing")
  return made


def test_requests_are_signed_by_their_seed(generative):
  info = json.loads(generative.ask("GET", "/v1/info")[2])
  assert [model["stochastic"] for model in info["models"]] == [True]
  first = signed(generative, text="wind regen", seed=1)
  other = signed(generative, text="wind regen", seed=2)
  assert (first["seed"], other["seed"]) == (1, 2)
  assert first["frames"] != other["frames"]
  assert signed(generative, text="wind regen", seed=1) == first
  plain = signed(generative, text="wind regen")
  assert plain == signed(generative, text="wind regen", seed=0)
  assert plain["frames"] not in (first["frames"], other["frames"])
  body = {"text": "wind regen", "seed": 1}
  lines = generative.post("/v1/sign/stream", body)[2].splitlines()
  start, *frames, _ = map(json.loads, lines)
  assert start["seed"] == 1
  streamed = [frame for line in frames for frame in line["frames"]]
  assert streamed == first["frames"]


def test_a_download_has_the_clip_of_its_seed(generative, tmp_path):
  made = signed(generative, text="wind", seed=5)
  asked = {"text": "wind", "seed": 5, "format": ".npz"}
  _, headers, body = generative.post("/v1/download", asked)
  name = 'attachment; filename="wind-seed-5.npz"'
  assert headers["content-disposition"] == name
  (tmp_path / "a.npz").write_bytes(body)
  (clip,) = npz.read(tmp_path / "a.npz")
  frames = np.array(made["frames"], float).reshape(-1, 50, 3)
  np.testing.assert_allclose(with_gaps(clip), frames, atol=1e-5)


def test_a_clip_does_not_depend_on_requests_beside_it(tmp_path):
  """One engine signs a text alone, another in a batch; then its cache."""
  model = write_flow_model(tmp_path / "flow.safetensors")
  settings = config.Data(language="GSL", folder=str(tmp_path / "none"))
  alone, busy = (
    engine.Engine(model, "run", settings, metrics.Metrics(), threading.Lock())
    for _ in range(2)
  )
  asked = jobs.SigningTask(("wind", "regen"), seed=3)
  beside = [
    jobs.SigningTask(("norden", "nacht", "wind"), seed=3),
    asked._replace(seed=4),
    asked,
  ]
  (single,) = answers(alone, [asked])
  *_, other, same = answers(busy, beside)
  np.testing.assert_allclose(
    same.clip.frames, single.clip.frames, atol=1e-4, rtol=1e-4
  )
  assert other.clip.frames.tobytes() != same.clip.frames.tobytes()
  kept = [busy._submit(task, None).future.result(0) for task in beside]
  assert kept[-1] is same and kept[-2] is other


def answers(
  model: engine.Engine, tasks: list[jobs.SigningTask]
) -> list[long_text.SignedText]:
  """What an engine without its thread signs in one batch."""
  made = [model._submit(task, None) for task in tasks]
  model._answer(model._next_jobs())
  return [job.future.result(0) for job in made]


def test_metrics(server):
  server.post("/v1/sign", {"text": "sonne"})
  server.ask("GET", "/a/path/of/its/own")
  text = server.ask("GET", "/metrics")[2].decode()
  found = {
    (sample.name, *sorted(sample.labels.values())): sample.value
    for family in parser.text_string_to_metric_families(text)
    for sample in family.samples
  }
  assert found["signllm_http_requests_total", "/v1/sign", "200"] >= 1
  assert found["signllm_http_requests_total", "404", "other"] >= 1
  assert found["signllm_frames_total", "run"] > 0
  assert found["signllm_waiting", "run"] == 0
  assert not any("/a/path" in key for key in found)


def flood(server: Server) -> list[tuple[int, dict[str, str], bytes]]:
  """200 texts, 50 clients that go away, 100 that never finish a head."""
  answers, lock = [], threading.Lock()

  def sign(i: int) -> None:
    text = "".join(np.random.default_rng(i).permutation(list("regen")))
    answer = server.post("/v1/sign", {"text": text})
    with lock:
      answers.append(answer)

  body = b'{"text": "sonne"}'
  request = JSON_HEAD + b"content-length: %d\r\n\r\n%s" % (len(body), body)
  threads = [threading.Thread(target=sign, args=(i,)) for i in range(200)]
  slow = []
  for i, thread in enumerate(threads):
    thread.start()
    if i % 2:
      slow.append(socket.create_connection(("127.0.0.1", server.port)))
      slow[-1].sendall(HEAD[: 10 + i // 10])
    if i % 4 == 0:
      with socket.create_connection(("127.0.0.1", server.port)) as gone:
        gone.sendall(request)
  for thread in threads:
    thread.join()
  for s in slow:
    s.close()
  return answers


def test_many_at_once_are_signed_or_refused(server):
  answers = flood(server)
  statuses = [answer[0] for answer in answers]
  assert len(statuses) == 200
  assert set(statuses) <= {200, 503}
  assert statuses.count(200) >= QUEUE
  for status, headers, _ in answers:
    assert status == 200 or int(headers["retry-after"]) > 0
  assert server.post("/v1/sign", {"text": "wind"})[0] == 200


# In a process of its own: the clients' threads would delay it.
WATCH = """
import http.client, sys, time
slowest = 0
while True:
  began = time.monotonic()
  connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
  connection.request("GET", "/healthz")
  assert connection.getresponse().status == 200
  connection.close()
  slowest = max(slowest, time.monotonic() - began)
  print(slowest, flush=True)
  time.sleep(0.02)
"""


@pytest.mark.slow
def test_health_and_memory_under_load(server):
  """R23."""
  process = psutil.Process(server.process.pid)
  server.post("/v1/download", {"text": "wind", "format": ".gif"})
  before = most = process.memory_info().rss
  watch = [sys.executable, "-c", WATCH, str(server.port)]
  with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as watching:
    for _ in range(5):
      flood(server)
      raw(server, *[JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"])
      server.post("/v1/sign", b"[" * 60_000)
      server.post("/v1/download", {"text": "sonne", "format": ".gif"})
      most = max(most, process.memory_info().rss)
    watching.kill()
    lines = watching.communicate()[0].splitlines()
  assert len(lines) > 10
  assert float(lines[-1]) < 1
  assert most - before < 100 << 20


@pytest.mark.slow
def test_sigterm_drains(home):
  """R23."""
  body = b'{"text": "norden", "format": ".gif"}'
  with serving(home / "run") as own:
    idle = socket.create_connection(("127.0.0.1", own.port))
    s = socket.create_connection(("127.0.0.1", own.port))
    s.sendall(JSON_HEAD.replace(b"sign", b"download"))
    s.sendall(b"content-length: %d\r\n\r\n%s" % (len(body), body))
    own.ask("GET", "/healthz")  # so the other one has arrived
    began = time.monotonic()
    own.process.terminate()
    with s:
      answer = b"".join(iter(lambda: s.recv(65536), b""))
    assert own.process.wait(6) == 0
    assert time.monotonic() - began < 5
    idle.close()
  assert answer.startswith(b"HTTP/1.1 200 ")
  assert b"GIF89a" in answer


def call(application, path: str) -> tuple[int, bytes]:
  """One GET, without a network."""
  sent = []

  async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}

  async def send(message):
    sent.append(message)

  scope = {
    **{"type": "http", "method": "GET", "path": path, "query_string": b""},
    "headers": [(b"host", b"localhost")],
  }
  asyncio.run(application(scope, receive, send))
  return sent[0]["status"], b"".join(part.get("body", b"") for part in sent)


def test_not_ready_until_warm(home):
  counters = metrics.Metrics()
  settings = workdir.read_config(home / "run").data
  model = engine.Engine(
    home / "run", "run", settings, counters, threading.Lock()
  )
  site = app.Site([model], counters, hosts=limits.LOCAL, slots=1)
  assert call(site.app, "/healthz")[0] == 200
  status, body = call(site.app, "/readyz")
  assert (status, json.loads(body)["code"]) == (503, "not_ready")
  model.failure = "the model cannot be run: no memory"
  assert b"no memory" in call(site.app, "/readyz")[1]
  assert site.stop()


def test_door_refuses(home, tmp_path, capsys):
  def refuses(message: str, *arguments: str) -> None:
    assert serve.main(list(arguments)) == 1
    assert message in capsys.readouterr().err

  refuses("not the work directory of a run", f"--workdir={tmp_path}")
  refuses("--queue=0", f"--workdir={home / 'run'}", "--queue=0")
  with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    refuses("cannot listen", f"--workdir={home / 'run'}", f"--port={port}")
  refuses("cannot listen", f"--workdir={home / 'run'}", "--port=99999")


@pytest.mark.slow
def test_models_with_faces_are_served(tmp_path):
  """A 2-D skeleton and one with depth, side by side; and their drawings."""
  models = [
    write_flow_model(
      tmp_path / f"{each.name}.safetensors", each, invented_faces.stand(each)
    )
    for each in (skeleton.DWPOSE128, skeleton.HOLISTIC178)
  ]
  with serving(models[0], f"--compare={models[1]}") as running:
    info = json.loads(running.ask("GET", "/v1/info")[2])
    check(info, "Info")
    for model in info["models"]:
      each = skeleton.get(model["skeleton"]["name"])
      shapes = model["skeleton"]["figure"]["shapes"]
      assert len(shapes) == len(figure.describe(each))
      assert {s["layer"] for s in shapes} == set(figure.LAYERS)
      roles = {s[key] for s in shapes for key in ("colour", "fill")} - {""}
      for theme in ("light", "dark"):
        assert roles < info["themes"][theme].keys()
      ask = {"text": "wind", "model": model["name"]}
      signed = json.loads(running.post("/v1/sign", ask)[2])
      check(signed, "Signing")
      assert len(signed["frames"][0]) == each.num_values
      lines = running.post("/v1/sign/stream", ask)[2].splitlines()
      sent = [json.loads(line).get("frames", []) for line in lines]
      assert [frame for part in sent for frame in part] == signed["frames"]
      for suffix in (".gif", ".svg", ".npz"):
        asked = ask | {"format": suffix}
        assert running.post("/v1/download", asked)[0] == 200, suffix
      status, _, page = running.ask(
        "GET", f"/embed?text=wind&model={model['name']}"
      )
      assert status == 200 and b"<path" in page

"""What all routes share: waiting for the model, errors, and JSON."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from signllm_jax.core import errors
from signllm_jax.web import limits


async def while_connected(connection: Request, work: Awaitable) -> Any:
  """The result of signing, unless the client disconnects before."""
  signing = asyncio.ensure_future(work)
  leaving = asyncio.ensure_future(connection.receive())
  try:
    await asyncio.wait((signing, leaving), return_when=asyncio.FIRST_COMPLETED)
    if not signing.done():
      raise limits.RequestError(400, "disconnected", "The client went away.")
    return signing.result()
  except errors.NonFiniteError as error:
    raise limits.RequestError(500, "non_finite", str(error)) from None
  finally:
    signing.cancel()
    leaving.cancel()


async def request_error(request: Request, error: Any) -> Response:
  """Answers a refusal."""
  return error.response()


async def http_error(request: Request, error: Any) -> Response:
  """Answers 404 and 405 of the router."""
  refusal = limits.RequestError(error.status_code, "no_path", error.detail)
  response = refusal.response()
  response.headers.update(error.headers or {})
  return response


def json(value: msgspec.Struct) -> Response:
  """A response in JSON."""
  return Response(msgspec.json.encode(value), media_type="application/json")

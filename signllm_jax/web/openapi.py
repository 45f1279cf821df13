"""The OpenAPI description of the server, from the types of `schema`."""

from typing import Any

import msgspec

from signllm_jax.web import info_schema, schema

_REFUSALS = {
  400: "Not JSON, or malformed HTTP.",
  403: "A request of another site.",
  408: "The body took too long.",
  413: "The body is too large.",
  415: "Not application/json.",
  421: "A host name this server does not answer for.",
  422: "The text cannot be signed: empty, too long, characters the model does "
  "not know, unknown language, mode or model.",
  500: "The model gives NaN or infinity.",
  503: "Not ready, or too many requests at a time.",
}
_RETRY = {
  "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
}


def document() -> dict[str, Any]:
  """Builds the document, OpenAPI 3.1 as plain values."""
  return {
    "openapi": "3.1.0",
    "info": {
      "title": "signllm_jax",
      "version": "1",
      "summary": "Text in, signing out.",
      "description": "Signs texts with a trained model. See docs/serve.md of "
      "the project.",
      "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "paths": {**_signing_paths(), **_other_paths()},
    "components": {"schemas": _schemas()},
  }


def _signing_paths() -> dict[str, Any]:
  return {
    "/v1/sign": _post(
      "Signs a text.", "SignRequest", _json("The frames.", "Signing")
    ),
    "/v1/sign/stream": _post(
      "Signs a text and sends frames as they are produced.",
      "SignRequest",
      _content(
        "Lines of JSON: start, frames (several), end; or error, where "
        "signing failed after the first frames.",
        "application/x-ndjson",
        _reference("StreamLine"),
      ),
    ),
    "/v1/download": _post(
      "Signs a text into a file.",
      "DownloadRequest",
      {
        **_content(
          "The file; several files come as a ZIP.",
          "*/*",
          {"type": "string", "format": "binary"},
        ),
        "headers": {
          "Content-Disposition": {
            "schema": {"type": "string"},
            "description": "Name of the file.",
          }
        },
      },
    ),
  }


def _other_paths() -> dict[str, Any]:
  return {
    "/v1/info": _get(
      "The models, file formats and skeleton.", _json("Facts.", "Info")
    ),
    "/embed": {
      "get": {
        "summary": "A page with one signing and no script, for an iframe.",
        "parameters": _query(),
        "responses": {
          "200": _content(
            "The page. Refusals are pages, too.",
            "text/html",
            {"type": "string"},
          ),
          **_refused_pages(),
        },
      }
    },
    "/healthz": _get("Whether the server is alive.", _json("It is.", "Status")),
    "/readyz": _get(
      "Whether the models are loaded and warm.",
      _json("They are.", "Status"),
      {"503": _problem("Not yet, or the reason why not.")},
    ),
    "/metrics": _get(
      "Counters for Prometheus.",
      _content("Prometheus' text format.", "text/plain", {"type": "string"}),
    ),
    "/openapi.json": _get(
      "This description.",
      _content("OpenAPI 3.1.", "application/json", {"type": "object"}),
    ),
  }


def _refused_pages() -> dict[str, Any]:
  """Refusals of /embed: pages, but for faults found before it is asked."""
  page = {"text/html": {"schema": {"type": "string"}}}
  refusals = _refusals()
  for refusal in refusals.values():
    refusal["content"] |= page
  return refusals


def _query() -> list[dict[str, Any]]:
  """The fields of `schema.EmbedRequest` as parameters of a query."""
  _, schemas = msgspec.json.schema_components(
    [schema.EmbedRequest], ref_template="#/components/schemas/{name}"
  )
  request = schemas["EmbedRequest"]
  return [
    {
      "name": name,
      "in": "query",
      "required": name in request["required"],
      "schema": field,
    }
    for name, field in request["properties"].items()
  ]


def _schemas() -> dict[str, Any]:
  types = (
    schema.SignRequest,
    schema.DownloadRequest,
    schema.Signing,
    info_schema.Info,
    schema.Status,
    schema.Problem,
    schema.StreamLine,
  )
  references, schemas = msgspec.json.schema_components(
    types, ref_template="#/components/schemas/{name}"
  )
  *_, lines = references  # of the union, which has no name of its own
  return {**schemas, "StreamLine": lines}


def _get(
  summary: str, response: dict[str, Any], others: dict[str, Any] | None = None
) -> dict[str, Any]:
  return {
    "get": {
      "summary": summary,
      "responses": {"200": response, **(others or {})},
    }
  }


def _post(
  summary: str, request: str, response: dict[str, Any]
) -> dict[str, Any]:
  body = {"application/json": {"schema": _reference(request)}}
  return {
    "post": {
      "summary": summary,
      "requestBody": {"required": True, "content": body},
      "responses": {"200": response, **_refusals()},
    }
  }


def _refusals() -> dict[str, dict[str, Any]]:
  refusals = {
    str(status): _problem(description)
    for status, description in _REFUSALS.items()
  }
  refusals["503"]["headers"] = _RETRY
  return refusals


def _json(description: str, name: str) -> dict[str, Any]:
  return _content(description, "application/json", _reference(name))


def _problem(description: str) -> dict[str, Any]:
  return _content(
    description, "application/problem+json", _reference("Problem")
  )


def _content(
  description: str, media_type: str, content: dict[str, Any]
) -> dict[str, Any]:
  return {
    "description": description,
    "content": {media_type: {"schema": content}},
  }


def _reference(name: str) -> dict[str, str]:
  return {"$ref": f"#/components/schemas/{name}"}

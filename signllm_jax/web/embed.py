"""A page with one signing and no script, for an iframe of another site."""

import base64
import hashlib
import json
from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response

from signllm_jax.core import clips
from signllm_jax.visualization import animation, svg_figure
from signllm_jax.web import figure_info, limits

# Values that are no texts.
_VALUES = ("speed", "pause", "smooth", "constant_bones", "seed")
_THEMES = figure_info.of_themes()
_STYLE = (
  "".join(
    f"body.{name}{{background:{theme['page']};color:{theme['ink']}}}\n"
    for name, theme in _THEMES.items()
  )
  + """\
html{height:100%}
body{margin:0;height:100%;display:flex;flex-direction:column;\
font:16px/1.4 system-ui,sans-serif}
main{flex:1;min-height:0;display:flex;align-items:center;padding:6px}
div{flex:1;min-width:0;height:100%}
div>svg{width:100%;height:100%}
main h1{flex:1}
h1{margin:0;font:inherit;padding:0 12px 8px;text-align:center;\
overflow-wrap:anywhere}
.still{display:none}
@media (prefers-reduced-motion:reduce){.moving{display:none}\
.still{display:block}}
"""
)
_SELF = "'self'"  # of a policy
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


async def check(request: Request, origins: Collection[str]) -> None:
  """Refuses bodies, and the frames of other sites where none is allowed.

  Which of them shows the page, the browser decides by its `frame-ancestors`.

  Raises:
    RequestError: a page of another site asks, and none may; or there is a body.
  """
  headers = request.headers
  if (
    headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
  ):
    raise limits.RequestError(413, "too_large", "A GET request has no body.")
  await request.receive()  # the end of the body; then a client may only leave
  site = request.headers.get("sec-fetch-site", "none")
  if not origins and site not in ("same-origin", "none"):
    raise limits.RequestError(
      403,
      "origin",
      "This server is embedded by no other site. Start it with --allow_origin "
      "to allow one.",
    )


def body_of(request: Request) -> bytes:
  """The query of a request as a body in JSON.

  Raises:
    RequestError: a name is given twice.
  """
  values = {}
  for name, text in request.query_params.multi_items():
    if name in values:
      raise limits.RequestError(422, "fields", f"{name[:40]} is given twice.")
    values[name] = _value(text) if name in _VALUES else text
  return json.dumps(values).encode()


def _value(text: str) -> object:
  """A number, true or false where the text is one."""
  try:
    return json.loads(text)
  except (ValueError, RecursionError):
    return text


def page(clip: clips.Clip, theme: str) -> str:
  """The page of a clip, which moves by itself."""
  title = f"A figure signing “{clip.text}”"
  look = {"width": "100%", "hands": True, "theme": _THEMES[theme]}
  moving = animation.svg(clip, title, **look)
  still = animation.svg(clip, title, **look, still=True)
  caption = svg_figure.escape(" ".join(clip.text.split()))
  return _page(
    f'<main><div class="moving">{moving}</div><div class="still">{still}</div>'
    f"</main><footer><h1>{caption}</h1></footer>",
    caption,
    theme,
  )


def response(content: str, origins: Collection[str]) -> Response:
  """A page that allowed sites may frame."""
  return Response(content, 200, _headers(origins), "text/html; charset=utf-8")


def refusal(
  error: limits.RequestError, theme: str, origins: Collection[str]
) -> Response:
  """A page that says why nothing is signed."""
  text = svg_figure.escape(error.problem.detail)
  answer = error.response()
  answer.body = _page(
    f"<main><h1>{text}</h1></main>", "Not signed", theme
  ).encode()
  headers = {**_headers(origins), "content-type": "text/html; charset=utf-8"}
  answer.headers.update({**headers, "content-length": str(len(answer.body))})
  return answer


def _headers(origins: Collection[str]) -> dict[str, str]:
  policy = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; "
    f"form-action 'none'; frame-ancestors {' '.join((_SELF, *origins))}"
  )
  return {"content-security-policy": policy}


def _page(content: str, title: str, theme: str) -> str:
  return (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>{title}</title><style>{_STYLE}</style></head>"
    f'<body class="{theme}">{content}</body></html>'
  )

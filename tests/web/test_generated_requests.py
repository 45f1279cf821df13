"""Requests generated from the server's own description: R23."""

import hypothesis
import pytest
import schemathesis
from helpers.serving import make_home, serving
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from signllm_jax.web import openapi

SPEC = openapi.document()
# Refusals that the description must foretell. Others depend on the model: its
# characters, its languages, its name.
OF_THE_FORM = ("json", "shape", "fields", "speed", "mode", "format")
OPERATIONS = [
  (path, method, mode)
  for path, methods in SPEC["paths"].items()
  for method in methods
  for mode in GenerationMode
  if method == "post" or mode is GenerationMode.POSITIVE
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  home = make_home(tmp_path_factory.mktemp("home"))
  with serving(home / "run") as running:
    yield running


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_answers_agree_with_the_description(server, path, method, mode):
  """R23: no fault of the server; status, type and body as described.

  Requests that the description allows are answered, as far as the model can;
  others are refused.
  """
  described = schemathesis.openapi.from_dict(SPEC)
  operation = described[path][method]

  @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
  @hypothesis.settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  def ask(case):
    answer = case.call(base_url=f"http://127.0.0.1:{server.port}")
    case.validate_response(answer, excluded_checks=[positive_data_acceptance])
    if mode is GenerationMode.POSITIVE and answer.status_code != 200:
      assert answer.status_code == 422
      if path == "/embed":  # its refusals are pages
        assert "<title>Not signed</title>" in answer.text
        return
      assert answer.json()["code"] not in OF_THE_FORM, (case.body, answer.text)

  ask()

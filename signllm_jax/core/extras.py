"""Packages of the project's extras, which need not be installed."""

from signllm_jax.core import errors


def not_installed(
  purpose: str, package: str | None, extra: str, *, otherwise: str = ""
) -> errors.UsageError:
  """The error for a missing package, with the command that installs it.

  Args:
    purpose: what is done with the package, e.g. "glosses are made".
    package: its name, as `ModuleNotFoundError.name` has it.
    extra: the extra of pyproject.toml that holds it.
    otherwise: what can be done without it.
  """
  return errors.UsageError(
    f"{purpose} with the package {package}, which is not installed",
    hint=f'Install it: pip install "signllm-jax[{extra}]"'
    + (otherwise and f", or {otherwise}"),
  )

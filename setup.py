"""Packages of the wheel; everything else is in pyproject.toml.

The folder configs/ is installed as signllm_jax.configs, so that no module of
that general a name appears beside the package.
"""

from setuptools import find_packages, setup

setup(
  packages=[
    *find_packages(include=["signllm_jax*", "data_pipeline*"]),
    "signllm_jax.configs",
  ],
  package_dir={"signllm_jax.configs": "configs"},
)

"""The server behind `python -m signllm_jax.serve`."""

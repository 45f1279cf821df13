"""The Python API: what `import signllm_jax as slp` offers."""

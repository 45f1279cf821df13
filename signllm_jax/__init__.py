"""JAX/Flax training stack for sign language production."""

"""Facts and types that every other room uses."""

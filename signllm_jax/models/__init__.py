"""Models and their layers, as Flax NNX modules."""

"""Training: the loop, the step and what stops them."""

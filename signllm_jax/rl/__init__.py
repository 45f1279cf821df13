"""Reinforcement learning: reward, policy gradient, prioritised sampling."""
